"""Limit the size of request bodies as they are read, since a declared length may be wrong or missing."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.ledger.uploads import MAX_BYTES, Code, RejectedError

FORM_BYTES = 64 * 1024
"""Allowed for a form in addition to its file."""


class TooLargeError(RejectedError, HTTPException):
    """The body is too large. It is an `HTTPException`, since FastAPI replaces any other error of parsing a body."""

    def __init__(self) -> None:
        RejectedError.__init__(self, Code.FILE_TOO_LARGE, f"the file is larger than {MAX_BYTES // 1024**2} MB")
        self.status_code = 413
        self.detail = str(self)
        self.headers = None


class BodyLimit:
    """Stops reading a body once it is too large.

    Parameters
    ----------
    app : ASGIApp
    most : int
        Size of the largest body, in bytes.
    """

    def __init__(self, app: ASGIApp, most: int = MAX_BYTES + FORM_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its bytes."""
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise TooLargeError
            return message

        await self._app(scope, counted, send)

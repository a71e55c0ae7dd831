"""What a request about somebody's portfolio can be refused for."""

from __future__ import annotations

from closingbell.errors import ClosingBellError


class NotFoundError(ClosingBellError):
    """There is no such row, or it is somebody else's."""


class ConflictError(ClosingBellError):
    """The request contradicts what is stored."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code

"""Counts answered requests and their time, for the plant's daily figures."""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.errors import DatabaseError
from closingbell.install import runtime
from closingbell.repositories import usage
from closingbell.repositories.usage import Request

logger = logging.getLogger("closingbell.api")

FLUSH_SECONDS = 5.0
MOST_KEPT = 10_000
"""Requests remembered while the database is away."""


class RequestLog:
    """Remembers every answer and writes them down a few seconds later, so that no request waits for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[Request] = deque(maxlen=MOST_KEPT)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and take its time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self.flush()
            return
        status, began = 500, perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # The route's pattern, not its path: whose portfolio it was is nobody's business here.
            route = f"{scope['method']} {getattr(scope.get('route'), 'path', 'unknown')}"
            self._remember(Request(runtime.now(), route, status, (perf_counter() - began) * 1000))

    def _remember(self, request: Request) -> None:
        with self._lock:
            self._waiting.append(request)
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write down what is remembered; what cannot be written now is written with what comes next."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, taken = None, list(self._waiting)
            self._waiting.clear()
        try:
            with runtime.open_database().transaction() as connection:
                usage.record_requests(connection, taken)
        except DatabaseError as error:
            logger.warning("requests are not counted yet: %s", error)
            with self._lock:
                self._waiting.extendleft(reversed(taken))

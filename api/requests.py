"""Record answered requests and their durations for the plant's daily figures."""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import perf_counter

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.analytics.usage import Request, record_requests
from closingbell.errors import DatabaseError
from closingbell.install import runtime

logger = logging.getLogger("closingbell.api")

FLUSH_SECONDS = 5.0
MOST_KEPT = 10_000
"""Requests kept in memory while the database cannot be reached."""


class RequestLog:
    """Collects answered requests and stores them a few seconds later, so that no request waits for the database.

    Parameters
    ----------
    app : ASGIApp
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[Request] = deque(maxlen=MOST_KEPT)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and measure its time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self.flush()  # the lifespan has ended: the application stops
            return
        status, began = 500, perf_counter()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            milliseconds = (perf_counter() - began) * 1000
            self._keep(Request(runtime.now(), _route_of(scope), status, milliseconds))

    def _keep(self, request: Request) -> None:
        with self._lock:
            self._waiting.append(request)
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Store the collected requests; those that cannot be stored now are stored with the next ones."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, taken = None, list(self._waiting)
            self._waiting.clear()
        try:
            record_requests(runtime.open_database(), taken)
        except DatabaseError as error:
            logger.warning("%d requests are not stored yet: %s", len(taken), error)
            with self._lock:
                self._waiting.extendleft(reversed(taken))


def _route_of(scope: Scope) -> str:
    """Return the method and the route's pattern; not the path, which would name a user's portfolio."""
    route = scope.get("route")
    return f"{scope['method']} {route.path if isinstance(route, Route) else 'unknown'}"

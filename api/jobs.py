"""The API's way to Dagster: the tracker."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from closingbell.install import runtime
from closingbell.install.settings import load_settings

if TYPE_CHECKING:
    from resources.tracker import JobTracker


@cache
def tracker() -> JobTracker:
    """Return the tracker; it imports Dagster, which takes a second, and only those pay who need it."""
    from resources.tracker import open_tracker  # noqa: PLC0415

    return open_tracker(runtime.open_database(), load_settings().webserver_port)

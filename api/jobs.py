"""The API's access to Dagster: the job tracker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import JobType

if TYPE_CHECKING:
    from resources.jobs import Job
    from resources.tracker import JobTracker


@cache
def _tracker() -> JobTracker:
    # Importing Dagster takes a second, so only the requests that need it do.
    from resources.tracker import open_tracker  # noqa: PLC0415

    return open_tracker(runtime.open_database(), load_settings().webserver_port)


def active_jobs() -> list[Job]:
    """Return every job that is queued or running, oldest first."""
    return _tracker().active_jobs()


def start_job(job_type: JobType, sessions: Sequence[date], trigger: str) -> str:
    """Start a job for a range of sessions; return its run id.

    Raises
    ------
    JobRunningError
        If a job of the type is running.
    ClosingBellError
        If Dagster does not start it.
    """
    return _tracker().start_job(job_type, sessions, trigger=trigger)

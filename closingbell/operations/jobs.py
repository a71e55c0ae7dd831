"""The plant's jobs: which of them a mode has, when they are due, and which exclude each other."""

from __future__ import annotations

from datetime import time
from enum import StrEnum

from closingbell.errors import ClosingBellError, ConfigurationError
from closingbell.operations.mode import Mode


class JobType(StrEnum):
    """A kind of job; one job of each kind runs at a time."""

    SYMBOL_BATCH = "symbol_batch"
    PORTFOLIO_REFRESH = "portfolio_refresh"
    SYMBOL_ONBOARDING = "symbol_onboarding"
    DAILY_BATCH = "daily_batch"
    FEEDBACK_LEARNING = "feedback_learning"
    ADMIN_METRICS = "admin_metrics"


STANDING_CHECKS_JOB = "freshness"
"""The job that runs the standing checks of the tables; it has no run record."""

EXCLUDES: dict[JobType, tuple[JobType, ...]] = {
    **{job: (job,) for job in JobType},
    JobType.DAILY_BATCH: (JobType.SYMBOL_BATCH, JobType.PORTFOLIO_REFRESH),
}
"""The job types that cannot run beside a job: the combined batch does the work of two."""

DUE: dict[JobType, time] = {
    JobType.FEEDBACK_LEARNING: time(20, 0),
    JobType.ADMIN_METRICS: time(20, 30),
    JobType.SYMBOL_BATCH: time(21, 0),
    JobType.DAILY_BATCH: time(21, 0),
    JobType.PORTFOLIO_REFRESH: time(21, 30),
}
"""When the jobs start by themselves, in New York time."""

STANDING_CHECKS_DUE = time(22, 30)
"""When the standing checks run, in New York time."""


class JobRunningError(ClosingBellError):
    """A job of the type is running already."""

    def __init__(self, job: JobType, run_id: str) -> None:
        super().__init__(f"{job} is running already, as run {run_id}", "Wait for it to end, or cancel it")
        self.run_id = run_id


def batches(mode: Mode) -> tuple[JobType, ...]:
    """Return the batches that a mode has, in the order in which they run."""
    return (JobType.SYMBOL_BATCH, JobType.PORTFOLIO_REFRESH) if mode is Mode.INSTANT else (JobType.DAILY_BATCH,)


def available(mode: Mode) -> tuple[JobType, ...]:
    """Return every job that a mode has."""
    instant = (JobType.SYMBOL_ONBOARDING,) if mode is Mode.INSTANT else ()
    return (*batches(mode), *instant, JobType.FEEDBACK_LEARNING, JobType.ADMIN_METRICS)


def require_available(name: str, mode: Mode) -> JobType:
    """Return the job type of that name.

    Raises
    ------
    ConfigurationError
        If there is no such job, or the mode does not have it.
    """
    known = ", ".join(available(mode))
    if name not in list(JobType):
        raise ConfigurationError(f"there is no job {name!r}", f"Choose one of {known}")
    job = JobType(name)
    if job not in available(mode):
        raise ConfigurationError(
            f"there is no {job} while BATCH_V2_ENABLED is {mode.flag}",
            f"Choose one of {known}, or set BATCH_V2_ENABLED={mode.other.flag} and restart",
        )
    return job

"""The state of the plant for its operators: readiness, freshness, running jobs, the onboarding queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from closingbell.batch.steps import step_named, step_names
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.freshness import Freshness, freshness
from closingbell.operations.jobs import JobType
from closingbell.operations.planning import session_range
from closingbell.repositories import inspection, queue, run_records, schema
from closingbell.repositories.database import Connection, Database


class ActiveJob(Protocol):
    """A job that is queued or running; `last` is the newest session that it computes."""

    @property
    def type(self) -> JobType:
        """Return the job type."""

    @property
    def run_id(self) -> str:
        """Return the run that executes the job."""

    @property
    def last(self) -> date | None:
        """Return the newest session of the job, None if it does not work on sessions."""


@dataclass(frozen=True)
class StepProgress:
    """A step of a job and whether it is done; then with its duration."""

    phase: str
    done: bool
    duration_ms: int | None


@dataclass(frozen=True)
class JobProgress:
    """The steps of a job, in order."""

    phases: list[StepProgress]

    @property
    def percent(self) -> int:
        """Return the share of the steps that are done."""
        return 100 * sum(phase.done for phase in self.phases) // max(len(self.phases), 1)


@dataclass(frozen=True)
class RequestedSymbol:
    """A row of the onboarding queue."""

    symbol: str
    kind: str
    status: str
    attempts: int
    requested_at: datetime
    next_attempt_at: datetime | None
    lease_until: datetime | None
    leased_by: str | None
    settled_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class OnboardingQueue:
    """The onboarding queue.

    Parameters
    ----------
    due : int
        Requests that a run can work on now.
    open : int
        All requests that have not ended.
    items : list of RequestedSymbol
        Open and failed ones, newest first.
    """

    due: int
    open: int
    items: list[RequestedSymbol]


class PlantQueries:
    """Queries on the state of the plant.

    Parameters
    ----------
    database : Database
    calendar : SessionCalendar
    """

    def __init__(self, database: Database, calendar: SessionCalendar) -> None:
        self._database = database
        self._calendar = calendar

    def require_ready(self) -> None:
        """Raise `DatabaseError` unless the database can be reached and its tables are current."""
        with self._database.transaction() as connection:
            schema.require_current(connection)

    def freshness(self, *, expected: date, now: datetime) -> Freshness:
        """Return how far the prices reach.

        Parameters
        ----------
        expected : date
            The newest session that could be there.
        now : datetime
            Timezone-aware; for the time of the next batch.
        """
        with self._database.transaction() as connection:
            newest = inspection.newest_session(connection, step_named("prices").table)
        return freshness(self._calendar, newest, expected=expected, now=now)

    def sessions_of(
        self, job: JobType, first: date | None, last: date | None, *, earliest: date, latest: date
    ) -> list[date]:
        """Return the sessions that a job computes when it is started for a range; none if it does not work on sessions.

        Parameters and errors are those of `closingbell.operations.planning.session_range`.
        """
        sessions = session_range(self._calendar, first, last, earliest=earliest, latest=latest)
        return sessions if step_names(job) else []

    def job_progress(self, jobs: Iterable[ActiveJob]) -> list[JobProgress]:
        """Return how far jobs are, in their order."""
        with self._database.transaction() as connection:
            return [_progress(connection, job) for job in jobs]

    def onboarding_queue(self, most: int) -> OnboardingQueue:
        """Return the onboarding queue with at most `most` items."""
        with self._database.transaction() as connection:
            waiting = queue.waiting(connection)
            items = [RequestedSymbol(**row) for row in queue.listing(connection, most)]
        return OnboardingQueue(waiting.due, waiting.open, items)


def _progress(connection: Connection, job: ActiveJob) -> JobProgress:
    record = None if job.last is None else run_records.find(connection, job.type, job.last)
    # The record of the session may still be that of an earlier run.
    done = record.phases if record is not None and record.run_id == job.run_id else {}
    return JobProgress([StepProgress(step, step in done, done.get(step)) for step in step_names(job.type)])

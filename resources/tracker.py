"""Which jobs run, and starting one: a view of what Dagster knows, without any state of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from closingbell.errors import ClosingBellError
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import STEPS, JobRunningError, JobType, require_available
from closingbell.repositories import locks
from closingbell.repositories.database import Database

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
TRIGGER_TAG = "closingbell/trigger"
DAY_TAG = "closingbell/day"

LOCATION = "closingbell"
"""The code location, as workspace.yaml names it."""

ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

Launch = Callable[[JobType, Mapping[str, str]], str]
"""Launches a job with tags; returns the run's id."""


@dataclass(frozen=True)
class Job:
    """A run, as the people who wait for it see it.

    Parameters
    ----------
    type : JobType
    run_id, status : str
        Status in Dagster's words, in lower case.
    trigger : str
        Who asked for it.
    first, last : date or None
        The sessions it is about.
    created, started, ended : datetime or None
        Timezone-aware.
    """

    type: JobType
    run_id: str
    status: str
    trigger: str
    first: date | None
    last: date | None
    created: datetime
    started: datetime | None
    ended: datetime | None


def types_of(run: dg.DagsterRun) -> list[JobType]:
    """Return the job types of a run; one launched from the Dagster UI has those that its assets belong to."""
    if run.job_name in list(JobType):
        return [JobType(run.job_name)]
    chosen = {key.to_user_string() for key in run.asset_selection or ()}
    return [job for job in (JobType.SYMBOL_BATCH, JobType.PORTFOLIO_REFRESH) if chosen & set(STEPS[job])]


def trigger_of(tags: Mapping[str, str]) -> str:
    """Return who asked for a run."""
    known = {"schedule": "dagster/schedule_name", "sensor": "dagster/sensor_name", "backfill": "dagster/backfill"}
    return tags.get(TRIGGER_TAG) or next((f"{who} {tags[tag]}" for who, tag in known.items() if tag in tags), "manual")


class JobTracker:
    """Answers what runs, and starts jobs, each type one at a time.

    Parameters
    ----------
    instance : DagsterInstance
        What is asked.
    database : Database
        Where callers of `start_job` take turns.
    launch : callable
        How a job is launched.
    """

    def __init__(self, instance: dg.DagsterInstance, database: Database, launch: Launch) -> None:
        self._instance = instance
        self._database = database
        self._launch = launch

    def active_jobs(self) -> list[Job]:
        """Return every job that is queued or underway, oldest first."""
        records = self._instance.get_run_records(dg.RunsFilter(statuses=ACTIVE))
        return sorted((job for record in records for job in views(record)), key=lambda job: job.created)

    def is_running(self, job_type: JobType) -> bool:
        """Tell whether a job of the type is queued or underway."""
        return any(job.type is job_type for job in self.active_jobs())

    def get_job(self, job_type: JobType) -> Job | None:
        """Return the job of the type that is underway, or the one that ran last."""
        active = [job for job in self.active_jobs() if job.type is job_type]
        if active:
            return active[0]
        records = self._instance.get_run_records(dg.RunsFilter(job_name=job_type.value), limit=1)
        return next((job for record in records for job in views(record)), None)

    def get_current(self) -> Job | None:
        """Return the job that has been underway longest, or None when nothing runs: the view of a single job."""
        return next(iter(self.active_jobs()), None)

    def start_job(self, job_type: JobType, sessions: Sequence[date] = (), trigger: str = "tracker") -> str:
        """Start a job for a range of sessions; return its run id.

        Raises
        ------
        ConfigurationError
            If the mode does not have the job.
        JobRunningError
            If one of the type runs already, whoever launched it; also if another caller was a millisecond faster.
        """
        require_available(job_type, load_settings().mode)
        tags = {TRIGGER_TAG: trigger}
        if sessions:
            tags |= {RANGE_START: str(sessions[0]), RANGE_END: str(sessions[-1])}
        with self._database.transaction(lock=locks.job_start(job_type)):
            running = next((job for job in self.active_jobs() if job.type is job_type), None)
            if running is not None:
                raise JobRunningError(running.type, running.run_id)
            return self._launch(job_type, tags)


def open_tracker(database: Database, webserver_port: int) -> JobTracker:
    """Return the tracker of this install, which launches jobs through its webserver."""
    return JobTracker(dg.DagsterInstance.get(), database, launcher("127.0.0.1", webserver_port))


def views(record: dg.RunRecord) -> list[Job]:
    """Return a run as its jobs: one for each type."""
    run, tags = record.dagster_run, record.dagster_run.tags
    first, last = tags.get(RANGE_START, tags.get(PARTITION)), tags.get(RANGE_END, tags.get(PARTITION))
    return [
        Job(
            job_type,
            run.run_id,
            run.status.value.lower(),
            trigger_of(tags),
            date.fromisoformat(first) if first else None,
            date.fromisoformat(last) if last else None,
            record.create_timestamp,
            _moment(record.start_time),
            _moment(record.end_time),
        )
        for job_type in types_of(run)
    ]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def launcher(host: str, port: int) -> Launch:
    """Return a way to launch jobs through Dagster's webserver.

    Raises
    ------
    ClosingBellError
        On launching, when the webserver cannot be reached or refuses.
    """

    def launch(job_type: JobType, tags: Mapping[str, str]) -> str:
        # Only those who launch pay for the client's imports.
        from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError  # noqa: PLC0415

        try:
            client = DagsterGraphQLClient(host, port_number=port)
            try:
                return client.submit_job_execution(job_type.value, tags=dict(tags))
            except DagsterGraphQLClientError:
                # The webserver does not start its code server again by itself when that has died.
                client.reload_repository_location(LOCATION)
                return client.submit_job_execution(job_type.value, tags=dict(tags))
        except (DagsterGraphQLClientError, OSError) as error:
            raise ClosingBellError(
                f"Dagster has not taken {job_type}: {error}", "Check that `closingbell up` runs"
            ) from error

    return launch

"""Reads from Dagster which jobs are active, how the last one ended, and which sessions are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from closingbell.batch.steps import step_names
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.jobs import JobType
from closingbell.operations.planning import incomplete_sessions

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
TRIGGER_TAG = "closingbell/trigger"
DAY_TAG = "closingbell/day"

ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

PAUSE_AFTER_FAILURE = timedelta(minutes=5)
"""How long a sensor waits after a failed run before it starts the job again."""


@dataclass(frozen=True)
class Job:
    """A run of a job type.

    Parameters
    ----------
    type : JobType
    run_id, status : str
        The status is Dagster's, in lower case.
    trigger : str
        What started it.
    first, last : date or None
        The first and the last of its sessions; None for a job that does not work on sessions.
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
    """Return the job types of a run; those of a run launched from the Dagster UI follow from its assets."""
    if run.job_name in list(JobType):
        return [JobType(run.job_name)]
    assets = {key.to_user_string() for key in run.asset_selection or ()}
    return [job for job in (JobType.SYMBOL_BATCH, JobType.PORTFOLIO_REFRESH) if assets & set(step_names(job))]


def trigger_of(tags: Mapping[str, str]) -> str:
    """Return what started a run."""
    known = {"schedule": "dagster/schedule_name", "sensor": "dagster/sensor_name", "backfill": "dagster/backfill"}
    named = (f"{kind} {tags[tag]}" for kind, tag in known.items() if tag in tags)
    return tags.get(TRIGGER_TAG) or next(named, "manual")


def range_tags(sessions: Sequence[date]) -> dict[str, str]:
    """Return the tags that make a run materialize a range of sessions."""
    return {RANGE_START: str(sessions[0]), RANGE_END: str(sessions[-1])} if sessions else {}


class JobReader:
    """Reads Dagster's runs and partitions; it keeps no state that a restart could lose or leave stale.

    Parameters
    ----------
    instance : DagsterInstance
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def active_jobs(self) -> list[Job]:
        """Return every job that is queued or running, oldest first."""
        records = self._instance.get_run_records(dg.RunsFilter(statuses=ACTIVE))
        return sorted((job for record in records for job in _jobs_of(record)), key=lambda job: job.created)

    def active_job(self, job_type: JobType) -> Job | None:
        """Return the oldest queued or running job of a type."""
        return next((job for job in self.active_jobs() if job.type is job_type), None)

    def is_running(self, job_type: JobType) -> bool:
        """Return whether a job of the type is queued or running."""
        return self.active_job(job_type) is not None

    def get_job(self, job_type: JobType) -> Job | None:
        """Return the active job of the type, or else the one that ran last."""
        active = self.active_job(job_type)
        if active is not None:
            return active
        record = self._last_run(job_type)
        return next(iter(_jobs_of(record)), None) if record else None

    def get_current(self) -> Job | None:
        """Return the oldest active job, or None when nothing runs."""
        return next(iter(self.active_jobs()), None)

    def has_just_failed(self, job_type: JobType, now: datetime) -> bool:
        """Return whether the last run of the job failed less than `PAUSE_AFTER_FAILURE` ago."""
        record = self._last_run(job_type)
        if record is None or not record.dagster_run.is_failure:
            return False
        return now - record.update_timestamp < PAUSE_AFTER_FAILURE

    def materialized_sessions(self, assets: Sequence[str]) -> dict[str, set[date]]:
        """Return the materialized sessions of each asset."""
        return {
            asset: {date.fromisoformat(key) for key in self._instance.get_materialized_partitions(dg.AssetKey(asset))}
            for asset in assets
        }

    def incomplete_sessions(self, calendar: SessionCalendar, job: JobType, target: date) -> list[date]:
        """Return the sessions up to `target` that a batch still has to compute, oldest first."""
        return incomplete_sessions(calendar, target, self.materialized_sessions(step_names(job)))

    def _last_run(self, job_type: JobType) -> dg.RunRecord | None:
        records = self._instance.get_run_records(dg.RunsFilter(job_name=job_type.value), limit=1)
        return next(iter(records), None)


def _jobs_of(record: dg.RunRecord) -> list[Job]:
    """Return a run as its jobs: one for each type."""
    run, tags = record.dagster_run, record.dagster_run.tags
    first, last = tags.get(RANGE_START, tags.get(PARTITION)), tags.get(RANGE_END, tags.get(PARTITION))
    return [
        Job(
            type=job_type,
            run_id=run.run_id,
            status=run.status.value.lower(),
            trigger=trigger_of(tags),
            first=date.fromisoformat(first) if first else None,
            last=date.fromisoformat(last) if last else None,
            created=record.create_timestamp,
            started=_moment(record.start_time),
            ended=_moment(record.end_time),
        )
        for job_type in types_of(run)
    ]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

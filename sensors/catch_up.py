"""Starts a batch that could not start at its time, and gives up on one that has waited too long."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg

from assets.jobs import BATCH_JOBS
from closingbell.batch.onboarding import pending_work
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.freshness import last_due
from closingbell.operations.jobs import DUE, JobType, batches
from closingbell.operations.planning import SYMBOL_BATCH_TIMEOUT
from closingbell.repositories import factors, run_records
from closingbell.repositories.database import Database
from closingbell.repositories.run_records import RunRecord
from resources import Market, Warehouse
from resources.jobs import JobReader, range_tags
from schedules.nightly import Requests, requests_for

GRACE = timedelta(minutes=1)
"""How long the schedule's own run may take to appear."""

NIGHT = timedelta(hours=6)
"""How long after its time a batch may still start by itself; later, it is left to the next night."""

GIVEN_UP = "the symbol batch was not complete by {:%H:%M} New York; the next night retries these sessions"


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING, jobs=BATCH_JOBS)
def catch_up(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, market: Market
) -> list[dg.RunRequest] | dg.SkipReason:
    """Start the batches that are due and have not started: late upstream, a busy queue, a daemon that was down."""
    moment, reader = runtime.planning_now(), JobReader(context.instance)
    answers = [
        answer
        for job in batches(load_settings().mode)
        for answer in _catch_up(reader, warehouse.open(), market, job, moment)
    ]
    requests = [answer for answer in answers if isinstance(answer, dg.RunRequest)]
    # Dagster takes requests, or one reason why there are none.
    return requests or dg.SkipReason(
        "; ".join(str(answer.skip_message) for answer in answers if isinstance(answer, dg.SkipReason))
    )


def _catch_up(reader: JobReader, database: Database, market: Market, job: JobType, moment: datetime) -> Requests:
    due = last_due(market.calendar(), moment, DUE[job])
    waited, target = moment - due, market.latest_session(due)
    if job is JobType.DAILY_BATCH and (request := _onboarding_request(reader, database, target)):
        yield request
        return
    if reason := _reason_to_skip(reader, database, market, job, due, moment):
        yield dg.SkipReason(f"{job}: {reason}")
        return
    if (
        job is JobType.PORTFOLIO_REFRESH
        and waited >= SYMBOL_BATCH_TIMEOUT
        and target in reader.incomplete_sessions(market.calendar(), JobType.SYMBOL_BATCH, target)
    ):
        sessions = reader.incomplete_sessions(market.calendar(), job, target)
        _give_up(database, sessions, moment, due + SYMBOL_BATCH_TIMEOUT)
        yield dg.SkipReason(f"{job}: given up for tonight")
        return
    yield from requests_for(reader, database, market, job, target, waited=waited)


def _reason_to_skip(
    reader: JobReader, database: Database, market: Market, job: JobType, due: datetime, moment: datetime
) -> str:
    """Return why a batch must not be started now, or an empty string."""
    if not GRACE <= moment - due <= NIGHT:
        return f"was due at {due:%Y-%m-%d %H:%M}, less than {GRACE} or more than {NIGHT} ago"
    if reader.is_running(job):
        return "is active"
    with database.transaction() as connection:
        record = run_records.find(connection, job, market.latest_session(due))
    if record is not None and record.started_at >= due and record.status in {run_records.FAILED, run_records.CANCELED}:
        return f"has {record.status} tonight"
    return ""


def _onboarding_request(reader: JobReader, database: Database, latest: date) -> dg.RunRequest | None:
    """Return a run of the combined batch for requested symbols, which it onboards in this mode."""
    with database.transaction() as connection:
        due = pending_work(database, connection)[0].due
        session = factors.newest_session(connection)
    job = JobType.DAILY_BATCH
    if not due or reader.is_running(job) or reader.has_just_failed(job, runtime.now()):
        return None
    return dg.RunRequest(job_name=job.value, tags=range_tags([session or latest]))


def _give_up(database: Database, sessions: list[date], moment: datetime, deadline: datetime) -> None:
    """Record the night's refresh as failed, which raises an alert."""
    record = RunRecord(JobType.PORTFOLIO_REFRESH, sessions, run_id="")
    with database.transaction() as connection:
        run_records.begin(connection, record, "catch_up", moment)
        run_records.fail(connection, record, moment, GIVEN_UP.format(deadline))

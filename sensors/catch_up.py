"""Starts a batch that could not start at its time, and gives up on one that has waited too long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from assets.jobs import BATCH_JOBS
from closingbell.batch.onboarding import pending_work
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import DUE, JobType, batches
from closingbell.operations.planning import SYMBOL_BATCH_PATIENCE, last_due
from closingbell.repositories import factors, run_records
from closingbell.repositories.database import Database
from closingbell.repositories.run_records import RunRecord
from resources.market import Market
from resources.progress import unfinished
from resources.tracker import ACTIVE, RANGE_END, RANGE_START, types_of
from resources.warehouse import Warehouse
from schedules.nightly import requests_for

GRACE = timedelta(minutes=1)
"""The schedule's own run appears in this time."""

PAUSE_AFTER_FAILURE = timedelta(minutes=5)
"""A batch that fails is not started over and over for the symbols that it should learn."""

NIGHT = timedelta(hours=6)
"""How long after its time a batch may still start by itself; then the next night takes it up."""

GIVEN_UP = "the symbol batch was not whole by {:%H:%M} New York; the next night takes these sessions up again"


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING, jobs=BATCH_JOBS)
def catch_up(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, market: Market
) -> list[dg.RunRequest] | dg.SkipReason:
    """Start the batches that are due and have not started: late upstream, a busy queue, a daemon that was down."""
    moment = runtime.planning_now()
    found = [
        each
        for job in batches(load_settings().mode)
        for each in _catch_up(context.instance, warehouse.open(), market, job, moment)
    ]
    requests = [each for each in found if isinstance(each, dg.RunRequest)]
    # Dagster takes requests, or one reason why there are none.
    return requests or dg.SkipReason(
        "; ".join(str(each.skip_message) for each in found if isinstance(each, dg.SkipReason))
    )


def _catch_up(
    instance: dg.DagsterInstance, database: Database, market: Market, job: JobType, moment: datetime
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    due = last_due(market.calendar(), moment, DUE[job])
    waited = moment - due
    if job is JobType.DAILY_BATCH and (learning := _learning(instance, database, market, due)):
        yield learning
        return
    if not GRACE <= waited <= NIGHT:
        yield dg.SkipReason(f"{job}: its time was {due:%Y-%m-%d %H:%M}")
        return
    target = market.latest_session(due)
    if _is_active(instance, job):
        yield dg.SkipReason(f"{job}: underway")
        return
    with database.transaction() as connection:
        record = run_records.find(connection, job, target)
    if record is not None and record.started_at >= due and record.status in {run_records.FAILED, run_records.CANCELED}:
        yield dg.SkipReason(f"{job}: has {record.status} tonight")
        return
    if job is JobType.PORTFOLIO_REFRESH and waited >= SYMBOL_BATCH_PATIENCE and _lacks(instance, market, target):
        _give_up(instance, database, market, target, moment, due + SYMBOL_BATCH_PATIENCE)
        yield dg.SkipReason(f"{job}: given up for tonight")
        return
    yield from requests_for(instance, database, market, job, target, waited)


def _learning(instance: dg.DagsterInstance, database: Database, market: Market, due: datetime) -> dg.RunRequest | None:
    """Return a run for symbols that somebody has asked for, which in this mode the combined batch learns."""
    with database.transaction() as connection:
        asked = pending_work(database, connection)[0].due
        session = factors.newest_session(connection)
    if not asked or _is_active(instance, JobType.DAILY_BATCH):
        return None
    last = next(iter(instance.get_run_records(dg.RunsFilter(job_name=JobType.DAILY_BATCH.value), limit=1)), None)
    if last and last.dagster_run.is_failure and runtime.now() - last.update_timestamp < PAUSE_AFTER_FAILURE:
        return None
    day = str(session or market.latest_session(due))
    return dg.RunRequest(job_name=JobType.DAILY_BATCH.value, tags={RANGE_START: day, RANGE_END: day})


def _is_active(instance: dg.DagsterInstance, job: JobType) -> bool:
    records = instance.get_run_records(dg.RunsFilter(statuses=ACTIVE))
    return any(job in types_of(record.dagster_run) for record in records)


def _lacks(instance: dg.DagsterInstance, market: Market, target: date) -> bool:
    return target in unfinished(instance, market.calendar(), JobType.SYMBOL_BATCH, target)


def _give_up(
    instance: dg.DagsterInstance, database: Database, market: Market, target: date, moment: datetime, deadline: datetime
) -> None:
    """Close the night's story as failed, which the alerts pick up."""
    sessions = unfinished(instance, market.calendar(), JobType.PORTFOLIO_REFRESH, target)
    record = RunRecord(JobType.PORTFOLIO_REFRESH, sessions, run_id="")
    with database.transaction() as connection:
        run_records.begin(connection, record, "catch_up", moment)
        run_records.fail(connection, record, moment, GIVEN_UP.format(deadline))

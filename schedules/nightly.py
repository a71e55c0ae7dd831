"""When the plant works by itself, at New York's time.

Not made with `build_schedule_from_partitioned_job`: partitions are UTC days here, and it cannot say 21:00 New York.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from assets.partitions import SESSIONS_PER_RUN
from assets.step import FRESHNESS_JOB
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import DUE, JobType, batches
from closingbell.operations.mode import Mode
from closingbell.operations.planning import adjacent_runs, portfolio_readiness
from closingbell.repositories import queue
from closingbell.repositories.database import Database
from resources.market import Market
from resources.progress import unfinished
from resources.tracker import DAY_TAG, RANGE_END, RANGE_START
from resources.warehouse import Warehouse

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def schedules_of(mode: Mode) -> list[dg.ScheduleDefinition]:
    """Return the schedules of a mode."""
    return [
        *(_batch_schedule(job) for job in batches(mode)),
        *(_daily_schedule(job) for job in (JobType.FEEDBACK_LEARNING, JobType.ADMIN_METRICS)),
        freshness_2230,
    ]


def _cron(job: JobType, days: str) -> str:
    return f"{DUE[job].minute} {DUE[job].hour} * * {days}"


def _batch_schedule(job: JobType) -> dg.ScheduleDefinition:
    """Ask every trading day for the sessions that are not whole."""

    @dg.schedule(
        name=f"{job}_{DUE[job]:%H%M}",
        job_name=job.value,
        cron_schedule=_cron(job, "1-5"),
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"{job} at {DUE[job]:%H:%M} New York on trading days, for every session that is not whole.",
    )
    def nightly(context: dg.ScheduleEvaluationContext, warehouse: Warehouse, market: Market) -> Requests:
        moment = context.scheduled_execution_time
        day = moment.astimezone(NEW_YORK).date()
        if not market.calendar().is_session(day):
            yield dg.SkipReason(f"the exchange is closed on {day}")
        else:
            target = market.latest_session(moment)
            yield from requests_for(context.instance, warehouse.open(), market, job, target, timedelta())

    return nightly


def _daily_schedule(job: JobType) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job}_{DUE[job]:%H%M}",
        job_name=job.value,
        cron_schedule=_cron(job, "*"),
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"{job} at {DUE[job]:%H:%M} New York every day.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags={DAY_TAG: str(context.scheduled_execution_time.astimezone(NEW_YORK).date())})

    return daily


def requests_for(
    instance: dg.DagsterInstance, database: Database, market: Market, job: JobType, target: date, waited: timedelta
) -> Requests:
    """Yield a run for each stretch of sessions that are not whole, or the reason why there is none."""
    sessions = unfinished(instance, market.calendar(), job, target)
    if not sessions:
        yield dg.SkipReason(f"every session up to {target} is whole")
        return
    if job is JobType.PORTFOLIO_REFRESH:
        lacking = set(unfinished(instance, market.calendar(), JobType.SYMBOL_BATCH, target))
        sessions = [session for session in sessions if session not in lacking or session == target]
        with database.transaction() as connection:
            onboarding = queue.waiting(connection).open
        readiness = portfolio_readiness(lacking=sorted(lacking & {target}), onboarding=onboarding, waited=waited)
        if not readiness.ready:
            yield dg.SkipReason(f"waiting: {'; '.join(readiness.reasons)}")
            return
    for run in adjacent_runs(market.calendar(), sessions, SESSIONS_PER_RUN):
        yield dg.RunRequest(job_name=job.value, tags={RANGE_START: str(run[0]), RANGE_END: str(run[-1])})


@dg.schedule(
    job_name=FRESHNESS_JOB,
    cron_schedule="30 22 * * 1-5",
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def freshness_2230() -> dg.RunRequest:
    """Check at 22:30 New York whether the tables reach the latest session."""
    return dg.RunRequest()

"""When the plant works by itself, in New York time.

Not made with `build_schedule_from_partitioned_job`: partitions are UTC days here, and it cannot express 21:00 New York.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta

import dagster as dg

from assets.partitions import SESSIONS_PER_RUN
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import DUE, STANDING_CHECKS_DUE, STANDING_CHECKS_JOB, JobType, batches
from closingbell.operations.mode import Mode
from closingbell.operations.planning import consecutive_ranges, reason_to_wait
from closingbell.repositories import queue
from closingbell.repositories.database import Database
from resources import Market, Warehouse
from resources.jobs import DAY_TAG, JobReader, range_tags

Requests = Iterator[dg.RunRequest | dg.SkipReason]

TRADING_WEEK, EVERY_DAY = "1-5", "*"
"""Days of a cron expression."""


def schedules_of(mode: Mode) -> list[dg.ScheduleDefinition]:
    """Return the schedules of a mode."""
    return [
        *(_batch_schedule(job) for job in batches(mode)),
        *(_daily_schedule(job) for job in (JobType.FEEDBACK_LEARNING, JobType.ADMIN_METRICS)),
        standing_checks,
    ]


def _cron(due: time, days: str) -> str:
    return f"{due.minute} {due.hour} * * {days}"


def _batch_schedule(job: JobType) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job}_{DUE[job]:%H%M}",
        job_name=job.value,
        cron_schedule=_cron(DUE[job], TRADING_WEEK),
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Runs {job} at {DUE[job]:%H:%M} New York on trading days, for every incomplete session.",
    )
    def nightly(context: dg.ScheduleEvaluationContext, warehouse: Warehouse, market: Market) -> Requests:
        moment = context.scheduled_execution_time
        day = moment.astimezone(NEW_YORK).date()
        if not market.calendar().is_session(day):
            yield dg.SkipReason(f"the exchange is closed on {day}")
        else:
            target = market.latest_session(moment)
            reader = JobReader(context.instance)
            yield from requests_for(reader, warehouse.open(), market, job, target, waited=timedelta())

    return nightly


def _daily_schedule(job: JobType) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job}_{DUE[job]:%H%M}",
        job_name=job.value,
        cron_schedule=_cron(DUE[job], EVERY_DAY),
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Runs {job} at {DUE[job]:%H:%M} New York every day.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags={DAY_TAG: str(context.scheduled_execution_time.astimezone(NEW_YORK).date())})

    return daily


@dg.schedule(
    name=f"{STANDING_CHECKS_JOB}_{STANDING_CHECKS_DUE:%H%M}",
    job_name=STANDING_CHECKS_JOB,
    cron_schedule=_cron(STANDING_CHECKS_DUE, TRADING_WEEK),
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def standing_checks() -> dg.RunRequest:
    """Run the standing checks of the tables after the batches."""
    return dg.RunRequest()


def requests_for(
    reader: JobReader, database: Database, market: Market, job: JobType, target: date, *, waited: timedelta
) -> Requests:
    """Yield a run for each range of incomplete sessions, or the reason why there is none."""
    calendar = market.calendar()
    sessions = reader.incomplete_sessions(calendar, job, target)
    if not sessions:
        yield dg.SkipReason(f"every session up to {target} is complete")
        return
    if job is JobType.PORTFOLIO_REFRESH:
        lacking = set(reader.incomplete_sessions(calendar, JobType.SYMBOL_BATCH, target))
        sessions = [session for session in sessions if session not in lacking or session == target]
        with database.transaction() as connection:
            onboarding = queue.waiting(connection).open
        reason = reason_to_wait(incomplete=sorted(lacking & {target}), onboarding=onboarding, waited=waited)
        if reason is not None:
            yield dg.SkipReason(f"waiting: {reason}")
            return
    for span in consecutive_ranges(calendar, sessions, SESSIONS_PER_RUN):
        yield dg.RunRequest(job_name=job.value, tags=range_tags(span))

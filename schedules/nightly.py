"""When jobs start by themselves, in New York time.

`build_schedule_from_partitioned_job` cannot express 21:00 New York for partitions that are UTC days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from typing import Any

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
"""Days of a cron expression: Monday to Friday, and all."""


def schedules_of(mode: Mode) -> list[dg.ScheduleDefinition]:
    """Return the schedules of a mode."""
    return [
        *(_batch_schedule(job) for job in batches(mode)),
        *(_daily_schedule(job) for job in (JobType.FEEDBACK_LEARNING, JobType.ADMIN_METRICS)),
        standing_checks,
    ]


def _schedule(
    job: str, due: time, days: str, description: str
) -> Callable[[Callable[..., Any]], dg.ScheduleDefinition]:
    """Declare a function as the schedule of a job at a time of New York; `days` are those of a cron expression."""
    return dg.schedule(
        name=f"{job}_{due:%H%M}",
        job_name=job,
        cron_schedule=f"{due.minute} {due.hour} * * {days}",
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def _batch_schedule(job: JobType) -> dg.ScheduleDefinition:
    description = f"Runs {job} at {DUE[job]:%H:%M} New York on trading days, for every incomplete session."

    @_schedule(job.value, DUE[job], TRADING_WEEK, description)
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
    @_schedule(job.value, DUE[job], EVERY_DAY, f"Runs {job} at {DUE[job]:%H:%M} New York every day.")
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags={DAY_TAG: str(context.scheduled_execution_time.astimezone(NEW_YORK).date())})

    return daily


@_schedule(
    STANDING_CHECKS_JOB,
    STANDING_CHECKS_DUE,
    TRADING_WEEK,
    "Runs the standing checks of the tables after the batches.",
)
def standing_checks() -> dg.RunRequest:
    """Request the standing checks."""
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

"""The two batches of a trading day, and a look at what they left behind, at New York's time.

Not made with `build_schedule_from_partitioned_job`: partitions are UTC days here, and it cannot say 21:00 New York.
"""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from assets.step import FRESHNESS_JOB, PORTFOLIO_REFRESH, SYMBOL_BATCH
from closingbell.calendar import NEW_YORK
from resources.market import Market

WEEKDAYS_AT = "{minute} {hour} * * 1-5"


def _request(moment: datetime, market: Market) -> dg.RunRequest | dg.SkipReason:
    """Ask for the latest session at the tick's own time, unless the exchange was closed that day."""
    day = moment.astimezone(NEW_YORK).date()
    if not market.calendar().is_session(day):
        return dg.SkipReason(f"the exchange is closed on {day}")
    return dg.RunRequest(partition_key=market.latest_session(moment).isoformat())


@dg.schedule(
    job_name=SYMBOL_BATCH,
    cron_schedule=WEEKDAYS_AT.format(hour=21, minute=0),
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def symbol_batch_2100(context: dg.ScheduleEvaluationContext, market: Market) -> dg.RunRequest | dg.SkipReason:
    """Fetch the day's prices and compute every symbol's factors at 21:00 New York."""
    return _request(context.scheduled_execution_time, market)


@dg.schedule(
    job_name=PORTFOLIO_REFRESH,
    cron_schedule=WEEKDAYS_AT.format(hour=21, minute=30),
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def portfolio_refresh_2130(context: dg.ScheduleEvaluationContext, market: Market) -> dg.RunRequest | dg.SkipReason:
    """Value every portfolio at 21:30 New York; fails when the symbol batch has not been computed."""
    return _request(context.scheduled_execution_time, market)


@dg.schedule(
    job_name=FRESHNESS_JOB,
    cron_schedule=WEEKDAYS_AT.format(hour=22, minute=30),
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def freshness_2230() -> dg.RunRequest:
    """Check at 22:30 New York whether the tables reach the latest session."""
    return dg.RunRequest()

"""One partition per NYSE session, the same for every asset."""

import warnings
from datetime import UTC, date, datetime, time

import dagster as dg

from closingbell.install.runtime import trading_calendar
from closingbell.install.settings import load_settings
from closingbell.market.calendar import SessionCalendar

WEEKENDS = "0 0 * * 0,6"
SESSIONS_PER_RUN = 63
"""A quarter: starting a run takes seconds, a session milliseconds, and a run that dies loses at most a quarter."""


def session_partitions(calendar: SessionCalendar, first: date) -> dg.DailyPartitionsDefinition:
    """Return the sessions of a calendar as partitions.

    A partition is a UTC day, so the key of session D appears at 19:00 or 20:00 New York time of D: after the close and
    before the batch at 21:00. With days of New York it would appear at midnight, hours after the batch. Do not
    derive times of the market from a partition's window: only its key means something, the session.
    """
    closures = calendar.weekday_closures(first, calendar.last_day)
    return dg.DailyPartitionsDefinition(
        start_date=datetime.combine(first, time(), UTC),
        timezone="UTC",
        exclusions=[WEEKENDS, *(datetime.combine(day, time(), UTC) for day in closures)],
    )


SESSIONS = session_partitions(trading_calendar(), load_settings().first_partition)
# Dagster warns for every asset and at every load that the parameter is beta; the pinned version cannot change it.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=SESSIONS_PER_RUN)

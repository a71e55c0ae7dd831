"""How far the prices reach, compared with how far they could."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

from closingbell.market.calendar import NEW_YORK, SessionCalendar
from closingbell.repositories import inspection
from closingbell.repositories.database import Connection

BATCH_TIME = time(21, 0)
"""When the symbol batch starts, in New York."""

PRICES = "market_data_cache"


@dataclass(frozen=True)
class Freshness:
    """How far the prices reach.

    Parameters
    ----------
    as_of : date or None
        The newest session with prices.
    expected : date
        The newest session that could be there.
    sessions_behind : int or None
        0 is current; None when there are no prices at all.
    next_update : datetime
        When the next batch starts, in New York's time.
    """

    as_of: date | None
    expected: date
    sessions_behind: int | None
    next_update: datetime

    @property
    def level(self) -> Literal["current", "warning", "critical"]:
        """Return how bad that is: a session behind is a warning, two or more are critical."""
        if self.sessions_behind == 0:
            return "current"
        return "warning" if self.sessions_behind == 1 else "critical"


def measure_freshness(
    connection: Connection, calendar: SessionCalendar, *, expected: date, now: datetime, table: str = PRICES
) -> Freshness:
    """Measure how far a table of sessions reaches.

    Parameters
    ----------
    expected : date
        The newest session that could be there.
    now : datetime
        Timezone-aware; for the time of the next batch.
    """
    newest = inspection.newest_session(connection, table)
    behind = None if newest is None else max(len(calendar.sessions(newest, expected)) - 1, 0)
    return Freshness(newest, expected, behind, next_batch(calendar, now))


def next_batch(calendar: SessionCalendar, now: datetime) -> datetime:
    """Return when the next symbol batch starts: at 21:00 New York of the next session, whose close it follows."""
    local = now.astimezone(NEW_YORK)
    day = local.date()
    session = calendar.latest_on_or_before(day)
    if session != day or local.time() >= BATCH_TIME:
        session = calendar.offset(session, 1)
    return datetime.combine(session, BATCH_TIME, NEW_YORK)

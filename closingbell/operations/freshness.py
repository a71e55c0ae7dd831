"""How far the tables are behind the latest session, and how serious that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum

from closingbell.market.calendar import NEW_YORK, SessionCalendar
from closingbell.operations.jobs import DUE, JobType


class Level(StrEnum):
    """How serious something is."""

    CURRENT = "current"
    WARNING = "warning"
    CRITICAL = "critical"


def sessions_behind(calendar: SessionCalendar, newest: date | None, expected: date) -> int | None:
    """Return how many sessions lie after the newest one, up to `expected`; None without a newest one."""
    return None if newest is None else max(len(calendar.sessions(newest, expected)) - 1, 0)


def level_of(behind: int | None) -> Level:
    """Return how serious a delay is: one session is a warning; more sessions, or no data at all, are critical."""
    if behind == 0:
        return Level.CURRENT
    return Level.WARNING if behind == 1 else Level.CRITICAL


@dataclass(frozen=True)
class Freshness:
    """How far a table reaches.

    Parameters
    ----------
    as_of : date or None
        The newest session that the table has.
    expected : date
        The newest session that it could have.
    sessions_behind : int or None
        0 is current; None when the table has no rows.
    next_update : datetime
        When the next batch starts, in New York time.
    """

    as_of: date | None
    expected: date
    sessions_behind: int | None
    next_update: datetime

    @property
    def level(self) -> Level:
        """Return how serious the delay is."""
        return level_of(self.sessions_behind)


def freshness(calendar: SessionCalendar, newest: date | None, *, expected: date, now: datetime) -> Freshness:
    """Compare the newest session of a table with the one expected.

    Parameters
    ----------
    newest : date or None
        The newest session that the table has.
    expected : date
        The newest session that it could have.
    now : datetime
        Timezone-aware; determines when the next batch starts.
    """
    return Freshness(newest, expected, sessions_behind(calendar, newest, expected), next_batch(calendar, now))


def next_batch(calendar: SessionCalendar, now: datetime) -> datetime:
    """Return when the next symbol batch starts, in New York time: on the evening of the next session."""
    local, due = now.astimezone(NEW_YORK), DUE[JobType.SYMBOL_BATCH]
    session = calendar.latest_on_or_before(local.date())
    if session != local.date() or local.time() >= due:
        session = calendar.offset(session, 1)
    return datetime.combine(session, due, NEW_YORK)


def last_due(calendar: SessionCalendar, now: datetime, at: time) -> datetime:
    """Return the latest moment at or before `now` at which a job of trading days was due, in New York time."""
    local = now.astimezone(NEW_YORK)
    day = calendar.latest_on_or_before(local.date())
    if day == local.date() and local.time() < at:
        day = calendar.offset(day, -1)
    return datetime.combine(day, at, NEW_YORK)

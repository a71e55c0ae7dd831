"""The NYSE trading calendar: which days are sessions, and which session was the last to close."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
from numpy.typing import NDArray

from closingbell.errors import ConfigurationError

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY = date(1990, 1, 1)
"""The first day of the calendar; no stored data are older."""


class SessionCalendar:
    """NYSE sessions (calendar XNYS) without the days of announced closures.

    Parameters
    ----------
    last_day : date
        The last day of the calendar. The exchange's rules are known years ahead, so it may lie in the future.
    closures : iterable of date, optional
        Days on which the exchange is closed although its rules do not say so (a national day of mourning).
    """

    def __init__(self, last_day: date, closures: Iterable[date] = ()) -> None:
        self._exchange = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY, end=last_day)
        self.first_day, self.last_day = FIRST_DAY, last_day
        self.closures = frozenset(closures)

    @cached_property
    def _days(self) -> list[date]:
        return [day for stamp in self._exchange.sessions if (day := stamp.date()) not in self.closures]

    @cached_property
    def _array(self) -> NDArray[np.datetime64]:
        return np.array(self._days, dtype="datetime64[D]")

    def sessions(self, start: date, end: date) -> list[date]:
        """Return every session from `start` to `end`, both included, oldest first."""
        return self._days[bisect_left(self._days, start) : bisect_right(self._days, end)]

    def session_array(self, start: date, end: date) -> NDArray[np.datetime64]:
        """Return the sessions from `start` to `end` as a ``datetime64[D]`` array, shape (T,)."""
        return self._array[bisect_left(self._days, start) : bisect_right(self._days, end)]

    def is_session(self, day: date) -> bool:
        """Return whether the exchange trades on `day`."""
        index = bisect_left(self._days, day)
        return index < len(self._days) and self._days[index] == day

    def require_session(self, day: date) -> date:
        """Return `day`; if it is not a session, raise a `ConfigurationError` that names the nearest sessions."""
        if not FIRST_DAY <= day <= self.last_day:
            raise ConfigurationError(f"{day} lies outside the calendar, which runs from {FIRST_DAY} to {self.last_day}")
        if not self.is_session(day):
            before = self.latest_on_or_before(day)
            after = self.offset(before, 1)
            raise ConfigurationError(f"{day} is not a NYSE session", f"The nearest sessions are {before} and {after}")
        return day

    def latest_on_or_before(self, day: date) -> date:
        """Return the last session that is not after `day`."""
        return self._days[max(bisect_right(self._days, day) - 1, 0)]

    def offset(self, session: date, count: int) -> date:
        """Return the session `count` sessions after `session` (before, if negative); beyond the calendar, its end."""
        index = bisect_left(self._days, session) + count
        return self._days[min(max(index, 0), len(self._days) - 1)]

    def close_of(self, session: date) -> datetime:
        """Return the time (UTC) at which trading ends on `session`; half days end earlier."""
        close: datetime = self._exchange.session_close(session.isoformat()).to_pydatetime()
        return close.astimezone(UTC)

    def target_session(self, now: datetime) -> date:
        """Return the latest session whose close lies at or before `now` (timezone-aware)."""
        session = self.latest_on_or_before(now.astimezone(NEW_YORK).date())
        return session if self.close_of(session) <= now else self.offset(session, -1)

    def weekday_closures(self, start: date, end: date) -> list[date]:
        """Return the days from Monday to Friday between `start` and `end` that are not sessions."""
        span = (start + timedelta(days=n) for n in range((end - start).days + 1))
        return [day for day in span if day.weekday() < 5 and not self.is_session(day)]

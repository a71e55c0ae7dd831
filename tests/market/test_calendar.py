"""Sessions, their partitions and the time of the batch, checked against the exchange's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import exchange_calendars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_contract import nyse

from assets.partitions import session_partitions
from closingbell.errors import ConfigurationError
from closingbell.install.runtime import YEARS_AHEAD
from closingbell.market.calendar import FIRST_DAY, NEW_YORK, SessionCalendar
from closingbell.operations.freshness import next_batch
from closingbell.operations.jobs import DUE, JobType

FIRST_PARTITION = date(2001, 1, 2)
YEAR = date(2022, 1, 3), date(2022, 12, 30)
CHRISTMAS = date(2022, 12, 26)
TOKYO = ZoneInfo("Asia/Tokyo")
CLOSURE = date(2022, 3, 16)
"""An ordinary Wednesday."""

SHUT = {
    "11 September": [date(2001, 9, day) for day in (11, 12, 13, 14)],
    "mourning for Reagan": [date(2004, 6, 11)],
    "mourning for Ford": [date(2007, 1, 2)],
    "hurricane Sandy": [date(2012, 10, 29), date(2012, 10, 30)],
    "mourning for Bush": [date(2018, 12, 5)],
    "mourning for Carter": [date(2025, 1, 9)],
    "Good Friday": [date(2001, 4, 13), date(2022, 4, 15), date(2025, 4, 18), date(2027, 3, 26)],
    "Juneteenth": [date(2022, 6, 20), date(2023, 6, 19)],
    "Independence Day": [date(2020, 7, 3), date(2021, 7, 5), date(2026, 7, 3)],
    "Christmas": [date(2021, 12, 24), date(2022, 12, 26), date(2027, 12, 24)],
    "a weekend": [date(2022, 3, 12), date(2022, 3, 13), date(2026, 10, 31), date(2026, 11, 1)],
}
OPEN = [
    *(date(2001, 9, 10), date(2001, 9, 17), date(2012, 10, 31), date(2025, 1, 10)),
    date(2021, 6, 18),  # the exchange closes for Juneteenth since 2022
    *(date(2010, 12, 31), date(2021, 12, 31)),  # New Year's Day is a Saturday and has no substitute
]

days = st.dates(date(2001, 1, 2), date(2027, 12, 30))
moments = st.datetimes(datetime(2001, 1, 3), datetime(2027, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001


@cache
def exchange() -> Any:
    """Return the calendar of `exchange_calendars`."""
    return exchange_calendars.get_calendar("XNYS", start=FIRST_DAY, end=date(2028, 12, 31))


def sessions_of_exchange(start: date, end: date) -> list[date]:
    return [stamp.date() for stamp in exchange().sessions_in_range(start.isoformat(), end.isoformat())]


def new_york(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, second), NEW_YORK)


@cache
def partitions_of(first: date, closures: tuple[date, ...] = ()) -> dg.DailyPartitionsDefinition:
    return session_partitions(SessionCalendar(date(2028, 12, 31), closures) if closures else nyse(), first)


def keys(partitions: dg.DailyPartitionsDefinition, moment: datetime) -> list[date]:
    return [date.fromisoformat(key) for key in partitions.get_partition_keys(current_time=moment.astimezone(UTC))]


def last_key(moment: datetime, closures: tuple[date, ...] = ()) -> date:
    """Return the newest partition at a moment; the first one is recent, since Dagster lists them all."""
    return keys(partitions_of((moment - timedelta(days=20)).date(), closures), moment)[-1]


# --- partitions ---


@pytest.mark.parametrize("year", [2022, 2025, 2026])
def test_the_partitions_up_to_next_year_s_end_are_the_exchange_s_sessions(year: int) -> None:
    """The calendar ends as many years ahead as the product's."""
    calendar = SessionCalendar(date(year + YEARS_AHEAD, 12, 31))
    partitions = session_partitions(calendar, FIRST_PARTITION)
    end = date(year + 1, 12, 31)
    assert keys(partitions, new_york(end, 23)) == sessions_of_exchange(FIRST_PARTITION, end)


@pytest.mark.parametrize("first", [date(2001, 1, 1), date(2012, 10, 27), date(2022, 4, 15), date(2022, 12, 26)])
def test_a_first_partition_on_a_day_without_trading_is_the_session_after_it(first: date) -> None:
    end = first + timedelta(days=30)
    assert keys(partitions_of(first), new_york(end, 23)) == sessions_of_exchange(first, end)


@pytest.mark.parametrize("reason", SHUT)
def test_a_day_without_trading_is_neither_session_nor_partition(reason: str) -> None:
    known = set(keys(partitions_of(FIRST_PARTITION), new_york(date(2027, 12, 31), 23)))
    for day in SHUT[reason]:
        assert not nyse().is_session(day)
        assert day not in known
        assert not partitions_of(FIRST_PARTITION).has_partition_key(day.isoformat())


@pytest.mark.parametrize("day", OPEN)
def test_a_trading_day_next_to_a_closure_is_a_session_and_a_partition(day: date) -> None:
    assert nyse().is_session(day)
    assert partitions_of(FIRST_PARTITION).has_partition_key(day.isoformat())


@pytest.mark.parametrize("year", [2021, 2022, 2024])
def test_when_the_batch_starts_the_newest_partition_is_the_day_s_session(year: int) -> None:
    """Check every session of a year: summer time, winter time and the weeks of the change."""
    sessions = nyse().sessions(date(year, 1, 1), date(year, 12, 31))
    assert len(sessions) > 250
    seen = [last_key(datetime.combine(session, DUE[JobType.SYMBOL_BATCH], NEW_YORK)) for session in sessions]
    assert seen == sessions


@pytest.mark.parametrize("year", [2022, 2024])
def test_at_16_hours_the_newest_partition_is_still_the_session_before(year: int) -> None:
    sessions = nyse().sessions(date(year, 1, 1), date(year, 12, 31))
    for before, session in pairwise(sessions):
        assert last_key(new_york(session, 16)) == before, session


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        (new_york(date(2022, 7, 8), 21), date(2022, 7, 8)),  # a Friday
        (new_york(date(2022, 7, 9), 12), date(2022, 7, 8)),
        (new_york(date(2022, 7, 10), 21), date(2022, 7, 8)),
        (new_york(date(2022, 7, 11), 16), date(2022, 7, 8)),
        (new_york(date(2022, 3, 13), 21), date(2022, 3, 11)),  # the Sunday on which summer time begins
        (new_york(date(2022, 11, 6), 21), date(2022, 11, 4)),  # the Sunday on which it ends
        (new_york(date(2022, 11, 23), 21), date(2022, 11, 23)),
        (new_york(date(2022, 11, 24), 21), date(2022, 11, 23)),  # Thanksgiving
        (new_york(date(2022, 11, 25), 21), date(2022, 11, 25)),
        (new_york(date(2022, 4, 14), 21), date(2022, 4, 14)),
        (new_york(date(2022, 4, 15), 21), date(2022, 4, 14)),  # Good Friday
        (new_york(date(2022, 4, 17), 21), date(2022, 4, 14)),
        (new_york(date(2022, 12, 25), 12), date(2022, 12, 23)),
        (new_york(CHRISTMAS, 21), date(2022, 12, 23)),
        (new_york(date(2022, 12, 27), 21), date(2022, 12, 27)),
        (new_york(date(2001, 9, 16), 21), date(2001, 9, 10)),
    ],
)
def test_on_a_day_without_trading_the_newest_partition_stays_the_last_session_s(
    moment: datetime, session: date
) -> None:
    assert last_key(moment) == session


@pytest.mark.parametrize(
    ("session", "hour"),
    [
        (date(2022, 3, 11), 19),  # the Friday before summer time begins
        (date(2022, 3, 14), 20),
        (date(2022, 7, 1), 20),
        (date(2022, 11, 4), 20),  # the Friday before it ends
        (date(2022, 11, 7), 19),
        (date(2022, 11, 25), 19),  # a half day
        (date(2022, 12, 30), 19),
    ],
)
def test_a_session_s_partition_appears_at_midnight_utc_which_is_19_or_20_hours_in_new_york(
    session: date, hour: int
) -> None:
    appears = new_york(session, hour)
    assert last_key(appears) == session
    assert last_key(appears - timedelta(seconds=1)) == nyse().offset(session, -1)


@settings(max_examples=200, deadline=None)
@given(moment=moments)
def test_at_any_time_the_newest_partition_is_the_last_session_whose_utc_day_is_over(moment: datetime) -> None:
    assert last_key(moment) == nyse().latest_on_or_before(moment.date() - timedelta(days=1))


@settings(max_examples=200, deadline=None)
@given(moment=moments)
def test_a_partition_never_appears_before_its_session_has_closed(moment: datetime) -> None:
    assert last_key(moment) <= nyse().target_session(moment)


def test_an_announced_closure_is_neither_session_nor_partition() -> None:
    before, after = nyse().offset(CLOSURE, -1), nyse().offset(CLOSURE, 1)
    calendar = SessionCalendar(date(2028, 12, 31), [CLOSURE])
    partitions = session_partitions(calendar, YEAR[0])
    assert not calendar.is_session(CLOSURE)
    assert calendar.sessions(before, after) == [before, after]
    assert calendar.offset(before, 1) == after
    assert calendar.weekday_closures(before, after) == [CLOSURE]
    assert calendar.target_session(new_york(CLOSURE, 23)) == before
    assert next_batch(calendar, new_york(CLOSURE, 12)) == new_york(after, 21)
    assert last_key(new_york(CLOSURE, 21), (CLOSURE,)) == before
    assert last_key(new_york(after, 21), (CLOSURE,)) == after
    expected = [session for session in sessions_of_exchange(*YEAR) if session != CLOSURE]
    assert keys(partitions, new_york(YEAR[1], 21)) == expected


def test_announcing_a_closure_on_a_day_without_trading_changes_nothing() -> None:
    closures = [date(2022, 3, 12), CHRISTMAS]
    assert SessionCalendar(date(2027, 12, 31), closures).sessions(*YEAR) == nyse().sessions(*YEAR)


# --- sessions ---


@settings(max_examples=100, deadline=None)
@given(start=days, end=days)
def test_every_day_is_a_session_a_closure_or_a_weekend(start: date, end: date) -> None:
    sessions, closures = nyse().sessions(start, end), nyse().weekday_closures(start, end)
    span = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    assert sessions == sessions_of_exchange(start, end) if start <= end else not sessions
    assert sorted(sessions + closures) == [day for day in span if day.weekday() < 5]
    assert nyse().session_array(start, end).tolist() == sessions
    assert [day for day in span if nyse().is_session(day)] == sessions


def test_a_year_s_closures_on_weekdays_are_its_holidays() -> None:
    assert nyse().weekday_closures(date(2022, 1, 1), date(2022, 12, 31)) == [
        date(2022, 1, 17),
        date(2022, 2, 21),
        date(2022, 4, 15),
        date(2022, 5, 30),
        date(2022, 6, 20),
        date(2022, 7, 4),
        date(2022, 9, 5),
        date(2022, 11, 24),
        date(2022, 12, 26),
    ]


def test_a_required_session_is_returned() -> None:
    assert nyse().require_session(date(2022, 12, 28)) == date(2022, 12, 28)


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        (date(2022, 12, 25), date(2022, 12, 23), date(2022, 12, 27)),
        (date(2022, 11, 24), date(2022, 11, 23), date(2022, 11, 25)),
        (date(2001, 9, 12), date(2001, 9, 10), date(2001, 9, 17)),
        (date(2025, 1, 9), date(2025, 1, 8), date(2025, 1, 10)),
    ],
)
def test_a_day_that_is_not_a_session_is_refused_with_the_nearest_sessions(day: date, before: date, after: date) -> None:
    with pytest.raises(ConfigurationError, match=f"^{day} is not a NYSE session.*{before} and {after}$"):
        nyse().require_session(day)


@pytest.mark.parametrize("day", [date(1989, 12, 29), date(2028, 1, 3)])
def test_a_day_outside_the_calendar_is_refused_with_the_calendar_s_range(day: date) -> None:
    with pytest.raises(ConfigurationError, match=f"^{day} lies outside .* 1990-01-01 to 2027-12-31$"):
        nyse().require_session(day)


@settings(max_examples=100, deadline=None)
@given(day=st.dates(date(2001, 1, 2), date(2024, 12, 31)), count=st.integers(-300, 300), further=st.integers(-300, 300))
def test_offsets_count_sessions_and_add_up(day: date, count: int, further: int) -> None:
    session = nyse().latest_on_or_before(day)
    there = nyse().offset(session, count)
    passed = sessions_of_exchange(min(session, there), max(session, there))
    assert len(passed) == abs(count) + 1
    assert nyse().offset(there, further) == nyse().offset(session, count + further)


def test_an_offset_beyond_the_calendar_is_its_first_or_last_session() -> None:
    first, last = date(1990, 1, 2), date(2027, 12, 31)
    assert nyse().offset(first, -1) == nyse().offset(date(2000, 1, 3), -100_000) == first
    assert nyse().offset(last, 1) == nyse().offset(date(2000, 1, 3), 100_000) == last


def test_the_calendar_contains_its_first_and_last_session_and_none_beyond() -> None:
    first, last = date(1990, 1, 2), date(2027, 12, 31)
    assert nyse().require_session(first) == nyse().latest_on_or_before(date(1980, 1, 2)) == first
    assert nyse().require_session(last) == nyse().latest_on_or_before(date(2030, 1, 2)) == last
    assert not nyse().is_session(date(1989, 12, 29))
    assert not nyse().is_session(date(2028, 1, 3))
    assert nyse().sessions(date(2027, 12, 30), date(2028, 1, 3)) == [date(2027, 12, 30), last]


@settings(max_examples=100, deadline=None)
@given(day=days)
def test_the_latest_session_on_a_day_is_the_exchange_s(day: date) -> None:
    stamp = exchange().date_to_session(day.isoformat(), direction="previous")
    assert nyse().latest_on_or_before(day) == stamp.date()


# --- the last session that has closed ---


@pytest.mark.parametrize(
    ("session", "close"),
    [
        (date(2022, 1, 3), datetime(2022, 1, 3, 21, tzinfo=UTC)),
        (date(2022, 7, 5), datetime(2022, 7, 5, 20, tzinfo=UTC)),
        (date(2022, 3, 11), datetime(2022, 3, 11, 21, tzinfo=UTC)),
        (date(2022, 3, 14), datetime(2022, 3, 14, 20, tzinfo=UTC)),
        (date(2022, 11, 25), datetime(2022, 11, 25, 18, tzinfo=UTC)),
        (date(2019, 7, 3), datetime(2019, 7, 3, 17, tzinfo=UTC)),
        (date(2024, 12, 24), datetime(2024, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_a_session_is_the_target_from_its_close(session: date, close: datetime) -> None:
    before = nyse().offset(session, -1)
    assert nyse().close_of(session) == close
    assert nyse().target_session(close - timedelta(seconds=1)) == before
    assert nyse().target_session(close) == session
    assert nyse().target_session(close.astimezone(NEW_YORK)) == session


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        (new_york(date(2022, 12, 24), 12), date(2022, 12, 23)),  # a Saturday
        (new_york(date(2022, 12, 25), 23), date(2022, 12, 23)),
        (new_york(CHRISTMAS, 18), date(2022, 12, 23)),  # Christmas, observed on Monday
        (new_york(date(2022, 12, 27), 0), date(2022, 12, 23)),
        (new_york(date(2022, 12, 27), 15, 59), date(2022, 12, 23)),
        (new_york(date(2022, 12, 27), 16), date(2022, 12, 27)),
        (new_york(date(2022, 11, 24), 20), date(2022, 11, 23)),  # Thanksgiving
        (datetime(2022, 12, 28, 3, tzinfo=UTC), date(2022, 12, 27)),  # still the 27th in New York
        (datetime(2022, 12, 29, 1, tzinfo=TOKYO), date(2022, 12, 27)),  # the 28th, before the close
        (new_york(date(2001, 9, 16), 20), date(2001, 9, 10)),
    ],
)
def test_before_the_day_s_close_the_target_is_the_last_session_that_has_closed(moment: datetime, session: date) -> None:
    assert nyse().target_session(moment) == session


@settings(max_examples=300, deadline=None)
@given(moment=moments)
def test_the_target_is_the_last_session_that_has_closed(moment: datetime) -> None:
    nearby = sessions_of_exchange(moment.date() - timedelta(days=10), moment.date())
    closes = {session: exchange().session_close(session.isoformat()) for session in nearby}
    assert nyse().target_session(moment) == max(session for session, close in closes.items() if close <= moment)


# --- the next batch ---


@pytest.mark.parametrize(
    ("now", "batch"),
    [
        (new_york(date(2022, 12, 27), 0), datetime(2022, 12, 28, 2, tzinfo=UTC)),
        (new_york(date(2022, 12, 27), 20, 59, 59), datetime(2022, 12, 28, 2, tzinfo=UTC)),
        (new_york(date(2022, 12, 27), 21), datetime(2022, 12, 29, 2, tzinfo=UTC)),
        (new_york(date(2022, 12, 23), 21), datetime(2022, 12, 28, 2, tzinfo=UTC)),  # across Christmas
        (new_york(CHRISTMAS, 21), datetime(2022, 12, 28, 2, tzinfo=UTC)),
        (new_york(date(2022, 11, 24), 12), datetime(2022, 11, 26, 2, tzinfo=UTC)),  # Thanksgiving; a half day follows
        (new_york(date(2022, 3, 11), 20), datetime(2022, 3, 12, 2, tzinfo=UTC)),  # winter time's last batch
        (new_york(date(2022, 3, 12), 12), datetime(2022, 3, 15, 1, tzinfo=UTC)),  # summer time's first
        (new_york(date(2022, 11, 4), 12), datetime(2022, 11, 5, 1, tzinfo=UTC)),
        (new_york(date(2022, 11, 5), 12), datetime(2022, 11, 8, 2, tzinfo=UTC)),
        (datetime(2022, 7, 6, 0, 59, tzinfo=UTC), datetime(2022, 7, 6, 1, tzinfo=UTC)),  # still the 5th in New York
        (datetime(2022, 7, 6, 1, tzinfo=UTC), datetime(2022, 7, 7, 1, tzinfo=UTC)),
    ],
)
def test_the_next_batch_starts_at_21_hours_of_the_next_session(now: datetime, batch: datetime) -> None:
    upcoming = next_batch(nyse(), now)
    assert upcoming.astimezone(UTC) == batch
    assert (upcoming.tzinfo, upcoming.time()) == (NEW_YORK, DUE[JobType.SYMBOL_BATCH])


@settings(max_examples=300, deadline=None)
@given(now=moments)
def test_the_next_batch_is_the_first_one_after_now_and_its_partition_exists(now: datetime) -> None:
    coming = sessions_of_exchange(now.date() - timedelta(days=1), now.date() + timedelta(days=10))
    batch = next_batch(nyse(), now)
    # Python compares times of the same zone by wall clock; in UTC they compare by moment.
    starts = [new_york(session, 21).astimezone(UTC) for session in coming]
    assert batch.astimezone(UTC) == min(start for start in starts if start > now)
    assert last_key(batch) == nyse().target_session(batch) == batch.date()

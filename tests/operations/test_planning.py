"""The plan of a night."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_contract import nyse

from closingbell.errors import ConfigurationError
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.freshness import last_due
from closingbell.operations.planning import (
    HEALING_SESSIONS,
    consecutive_ranges,
    incomplete_sessions,
    reason_to_wait,
    session_range,
)

SESSIONS = nyse().sessions(date(2022, 6, 1), date(2022, 12, 28))
TARGET = SESSIONS[-1]


def test_the_first_night_ever_requests_its_own_session_only() -> None:
    assert incomplete_sessions(nyse(), TARGET, {"prices": set(), "factors": set()}) == [TARGET]


def test_a_night_requests_every_session_since_the_last_complete_one() -> None:
    complete = set(SESSIONS[:-4])
    assert incomplete_sessions(nyse(), TARGET, {"prices": complete, "factors": complete}) == SESSIONS[-4:]


def test_a_session_that_one_asset_lacks_is_incomplete() -> None:
    everything = set(SESSIONS)
    lacking = everything - {SESSIONS[-3]}
    assert incomplete_sessions(nyse(), TARGET, {"prices": everything, "factors": lacking}) == [SESSIONS[-3]]


def test_an_incomplete_session_is_retried_for_a_quarter_and_then_left_to_the_operator() -> None:
    recent, old = SESSIONS[-HEALING_SESSIONS], SESSIONS[-HEALING_SESSIONS - 1]
    assert incomplete_sessions(nyse(), TARGET, {"prices": set(SESSIONS) - {recent, old}}) == [recent]


def test_a_new_asset_does_not_make_the_batch_compute_all_sessions_again() -> None:
    requested = incomplete_sessions(nyse(), TARGET, {"prices": set(SESSIONS[:-1]), "new": set()})
    assert requested == SESSIONS[-HEALING_SESSIONS:]


def test_no_session_before_the_first_one_is_requested() -> None:
    assert incomplete_sessions(nyse(), TARGET, {"prices": set(SESSIONS[-5:-1])}) == [TARGET]


def test_however_long_the_plant_was_down_it_starts_after_the_last_complete_session() -> None:
    assert incomplete_sessions(nyse(), TARGET, {"prices": set(SESSIONS[:3])}) == SESSIONS[3:]


def test_when_every_session_is_complete_none_is_requested() -> None:
    assert incomplete_sessions(nyse(), TARGET, {"prices": set(SESSIONS)}) == []


@settings(max_examples=100, deadline=None)
@given(chosen=st.sets(st.sampled_from(SESSIONS)), most=st.integers(1, 70))
def test_ranges_have_no_gaps_and_every_session_once(chosen: set[date], most: int) -> None:
    requested = sorted(chosen)
    runs = list(consecutive_ranges(nyse(), requested, most))
    assert [session for run in runs for session in run] == requested
    for run in runs:
        assert 1 <= len(run) <= most
        assert run == nyse().sessions(run[0], run[-1])
    for before, after in pairwise(runs):
        assert len(before) == most or nyse().offset(before[-1], 1) != after[0]


@pytest.mark.parametrize(
    ("day", "hour", "due"),
    [
        (date(2022, 11, 23), time(21, 0), date(2022, 11, 23)),
        (date(2022, 11, 23), time(20, 59), date(2022, 11, 22)),
        (date(2022, 11, 24), time(23, 0), date(2022, 11, 23)),  # Thanksgiving
        (date(2022, 11, 27), time(12, 0), date(2022, 11, 25)),  # a Sunday
        (date(2022, 11, 7), time(21, 0), date(2022, 11, 7)),  # the first night after summer time
        (date(2022, 3, 14), time(0, 30), date(2022, 3, 11)),  # the first night of summer time
    ],
)
def test_a_batch_was_last_due_on_the_latest_trading_day_whose_hour_has_come(day: date, hour: time, due: date) -> None:
    moment = datetime.combine(day, hour, NEW_YORK).astimezone(UTC)
    assert last_due(nyse(), moment, time(21)) == datetime.combine(due, time(21), NEW_YORK)


def test_the_refresh_never_proceeds_without_the_symbol_batch() -> None:
    for minutes in (0, 20, 59, 60, 600):
        reason = reason_to_wait(incomplete=[TARGET], onboarding=0, waited=timedelta(minutes=minutes))
        assert reason == f"the symbol batch of {TARGET} is incomplete"


def test_the_refresh_waits_two_minutes_for_onboarding_and_then_proceeds() -> None:
    waiting = reason_to_wait(incomplete=[], onboarding=3, waited=timedelta(seconds=119))
    assert waiting == "3 symbols are being onboarded"
    assert reason_to_wait(incomplete=[], onboarding=3, waited=timedelta(minutes=2)) is None
    assert reason_to_wait(incomplete=[], onboarding=0, waited=timedelta()) is None


def test_a_range_defaults_to_the_latest_session() -> None:
    assert session_range(nyse(), None, None, earliest=SESSIONS[0], latest=TARGET) == [TARGET]
    assert session_range(nyse(), SESSIONS[-3], None, earliest=SESSIONS[0], latest=TARGET) == SESSIONS[-3:]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2022, 12, 24), None, "2022-12-24 is not a NYSE session.*2022-12-23 and 2022-12-27"),
        (None, date(2022, 12, 29), "there is no data for 2022-12-29 yet.*latest session is 2022-12-28"),
        (date(2022, 12, 28), date(2022, 12, 27), "the range is empty: 2022-12-28 comes after 2022-12-27"),
        (date(2022, 5, 31), None, "no partition before 2022-06-01.*CLOSINGBELL_FIRST_PARTITION"),
    ],
)
def test_a_range_that_cannot_be_computed_is_refused(first: date | None, last: date | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        session_range(nyse(), first, last, earliest=SESSIONS[0], latest=TARGET)

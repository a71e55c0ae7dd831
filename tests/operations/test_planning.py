"""What a night has to do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_contract import nyse

from closingbell.market.calendar import NEW_YORK
from closingbell.operations.planning import (
    HEALED_SESSIONS,
    adjacent_runs,
    last_due,
    portfolio_readiness,
    unfinished_sessions,
)

SESSIONS = nyse().sessions(date(2022, 6, 1), date(2022, 12, 28))
TARGET = SESSIONS[-1]


def test_the_first_night_ever_asks_for_its_own_session_only() -> None:
    assert unfinished_sessions(nyse(), TARGET, {"prices": set(), "factors": set()}) == [TARGET]


def test_a_night_asks_for_every_session_since_the_last_whole_one() -> None:
    whole = set(SESSIONS[:-4])
    assert unfinished_sessions(nyse(), TARGET, {"prices": whole, "factors": whole}) == SESSIONS[-4:]


def test_a_session_that_one_asset_lacks_is_not_whole() -> None:
    everything = set(SESSIONS)
    lacking = everything - {SESSIONS[-3]}
    assert unfinished_sessions(nyse(), TARGET, {"prices": everything, "factors": lacking}) == [SESSIONS[-3]]


def test_a_hole_is_taken_up_for_a_quarter_and_then_left_to_people() -> None:
    recent, old = SESSIONS[-HEALED_SESSIONS], SESSIONS[-HEALED_SESSIONS - 1]
    assert unfinished_sessions(nyse(), TARGET, {"prices": set(SESSIONS) - {recent, old}}) == [recent]


def test_nothing_before_the_first_session_is_asked_for() -> None:
    assert unfinished_sessions(nyse(), TARGET, {"prices": set(SESSIONS[-5:-1])}) == [TARGET]


def test_however_long_the_plant_was_down_it_starts_after_the_last_whole_session() -> None:
    assert unfinished_sessions(nyse(), TARGET, {"prices": set(SESSIONS[:3])}) == SESSIONS[3:]


def test_when_everything_is_whole_nothing_is_asked_for() -> None:
    assert unfinished_sessions(nyse(), TARGET, {"prices": set(SESSIONS)}) == []


@settings(max_examples=100, deadline=None)
@given(chosen=st.sets(st.sampled_from(SESSIONS)), most=st.integers(1, 70))
def test_runs_hold_neighbours_only_and_every_session_once(chosen: set[date], most: int) -> None:
    wanted = sorted(chosen)
    runs = list(adjacent_runs(nyse(), wanted, most))
    assert [session for run in runs for session in run] == wanted
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


def test_the_refresh_never_goes_on_without_the_symbol_batch() -> None:
    for waited in (0, 20, 59):
        waiting = portfolio_readiness(lacking=[TARGET], onboarding=0, waited=timedelta(minutes=waited))
        assert not waiting.ready
        assert not waiting.given_up
        assert waiting.reasons == (f"the symbol batch of {TARGET} is not whole",)
    late = portfolio_readiness(lacking=[TARGET], onboarding=0, waited=timedelta(minutes=60))
    assert not late.ready
    assert late.given_up


def test_the_refresh_waits_two_minutes_for_onboarding_and_then_goes_on() -> None:
    assert not portfolio_readiness(lacking=[], onboarding=3, waited=timedelta(seconds=119)).ready
    assert portfolio_readiness(lacking=[], onboarding=3, waited=timedelta(minutes=2)).ready
    assert portfolio_readiness(lacking=[], onboarding=0, waited=timedelta()).ready

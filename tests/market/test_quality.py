"""Bars that cannot be correct are refused, with the reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.market.bars import ActionKind, Bars, CorporateAction
from closingbell.market.quality import check_bars

SESSIONS = np.array(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"], dtype="datetime64[D]")
LAST = date(2024, 1, 8)


def bars(**changes: list[float]) -> Bars:
    flat = Bars(
        sessions=SESSIONS,
        open=np.full(5, 10.0),
        high=np.full(5, 11.0),
        low=np.full(5, 9.0),
        close=np.full(5, 10.0),
        volume=np.full(5, 1000.0),
        source="test",
    )
    arrays: dict[str, Any] = {name: np.array(values) for name, values in changes.items()}
    return replace(flat, **arrays)


def test_valid_bars_pass_unchanged() -> None:
    kept, refused = check_bars(bars(), SESSIONS, LAST)
    assert refused == ()
    np.testing.assert_array_equal(kept.sessions, SESSIONS)
    np.testing.assert_array_equal(kept.close, np.full(5, 10.0))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"close": [10, 10, 0, 10, 10]}, "the close is not positive"),
        ({"close": [10, 10, -3, 10, 10]}, "the close is not positive"),
        ({"close": [10, 10, np.nan, 10, 10]}, "the close is missing or not a number"),
        ({"close": [10, 10, np.inf, 10, 10]}, "the close is missing or not a number"),
        ({"close": [10, 10, 1e303, 10, 10]}, "the close is missing or not a number"),
        ({"close": [10, 10, 4e-7, 10, 10]}, "the close rounds to zero"),
        ({"high": [11, 11, 8, 11, 11]}, "the high is below the low"),
        ({"close": [10, 10, 11.06, 10, 10]}, "the close is outside low and high"),
        ({"close": [10, 10, 8.95, 10, 10]}, "the close is outside low and high"),
    ],
)
def test_a_bar_that_contradicts_itself_is_refused_with_its_reason(changes: dict[str, list[float]], reason: str) -> None:
    kept, refused = check_bars(bars(**changes), SESSIONS, LAST)
    assert [(bar.session, bar.reason) for bar in refused] == [(date(2024, 1, 4), reason)]
    assert "close" in refused[0].detail
    np.testing.assert_array_equal(kept.sessions, np.delete(SESSIONS, 2))


def test_a_close_within_half_a_percent_of_the_range_passes() -> None:
    kept, refused = check_bars(bars(close=[10, 10, 11.05, 8.96, 10]), SESSIONS, LAST)
    assert not refused
    assert len(kept.sessions) == 5


def test_a_bar_with_an_unknown_open_high_and_low_passes() -> None:
    nothing = [np.nan] * 5
    kept, refused = check_bars(bars(open=nothing, high=nothing, low=nothing), SESSIONS, LAST)
    assert not refused
    assert np.isnan(kept.high).all()


def test_a_bar_on_a_day_without_trading_is_refused() -> None:
    saturday = SESSIONS.copy()
    saturday[4] = np.datetime64("2024-01-06")
    _, refused = check_bars(replace(bars(), sessions=saturday), SESSIONS, LAST)
    assert [bar.reason for bar in refused] == ["not a session of the exchange"]


def test_a_bar_of_a_session_that_has_not_closed_is_refused() -> None:
    _, refused = check_bars(bars(), SESSIONS, date(2024, 1, 5))
    assert [(bar.session, bar.reason) for bar in refused] == [(LAST, "the session has not closed yet")]


def test_of_two_bars_of_one_session_the_first_is_kept() -> None:
    twice = SESSIONS.copy()
    twice[3] = twice[2]
    kept, refused = check_bars(replace(bars(close=[10, 10, 10, 10.5, 10]), sessions=twice), SESSIONS, LAST)
    assert [bar.reason for bar in refused] == ["a second bar of the same session"]
    assert kept.close.tolist() == [10, 10, 10, 10]


def test_bars_are_returned_in_order_whatever_their_order_was() -> None:
    backwards = replace(bars(close=[1, 2, 3, 4, 5], low=[0] * 5, high=[9] * 5), sessions=SESSIONS[::-1].copy())
    kept, _ = check_bars(backwards, SESSIONS, LAST)
    np.testing.assert_array_equal(kept.sessions, SESSIONS)
    assert kept.close.tolist() == [5, 4, 3, 2, 1]


def test_actions_without_a_value_or_a_session_are_refused_and_the_others_kept() -> None:
    good = CorporateAction(date(2024, 1, 3), ActionKind.SPLIT, Decimal(2))
    no_value = CorporateAction(date(2024, 1, 4), ActionKind.DIVIDEND, Decimal(0))
    no_session = CorporateAction(date(2024, 1, 6), ActionKind.SPLIT, Decimal(3))
    kept, refused = check_bars(replace(bars(), actions=(good, no_value, no_session)), SESSIONS, LAST)
    assert kept.actions == (good,)
    assert [bar.reason for bar in refused] == [
        "the corporate action has no positive value",
        "the ex-date is not a session of the exchange",
    ]


NUMBERS = st.one_of(st.floats(), st.floats(-1, 20))


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from([*SESSIONS.tolist(), date(2024, 1, 6)]), NUMBERS, NUMBERS, NUMBERS)),
)
def test_only_positive_closes_on_sessions_pass(
    rows: list[tuple[date, float, float, float]],
) -> None:
    columns = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3).T
    given_bars = Bars(
        sessions=np.array([row[0] for row in rows], dtype="datetime64[D]"),
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[0],
        volume=columns[0],
        source="test",
    )
    kept, refused = check_bars(given_bars, SESSIONS, LAST)
    assert len(kept.sessions) + len(refused) == len(rows)
    assert (kept.close > 0).all()
    assert np.isfinite(kept.close).all()
    assert (np.diff(kept.sessions) > np.timedelta64(0)).all()
    assert np.isin(kept.sessions, SESSIONS).all()

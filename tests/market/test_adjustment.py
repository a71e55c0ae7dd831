"""Adjusted closes give the returns that a holder earns."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.calculations.factors import simple_returns
from closingbell.market.adjustment import adjusted_close, restated
from closingbell.market.bars import ActionKind, CorporateAction

DAYS = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")


def action(day: int, kind: ActionKind, value: str) -> CorporateAction:
    return CorporateAction(date(2024, 1, day), kind, Decimal(value))


def test_without_actions_the_close_does_not_change() -> None:
    close = np.linspace(10, 19, 10)
    np.testing.assert_array_equal(adjusted_close(DAYS, close, []), close)


def test_a_split_divides_the_closes_before_its_ex_date_only() -> None:
    close = np.array([100.0] * 5 + [25.0] * 5)
    np.testing.assert_array_equal(adjusted_close(DAYS, close, [action(6, ActionKind.SPLIT, "4")]), [25.0] * 10)


def test_a_dividend_makes_the_return_of_its_ex_date_a_total_return() -> None:
    close = np.array([100.0] * 5 + [98.0] * 5)
    adjusted = adjusted_close(DAYS, close, [action(6, ActionKind.DIVIDEND, "2")])
    np.testing.assert_allclose(adjusted, [98.0] * 10)


def test_a_dividend_after_a_gap_is_measured_against_the_last_known_close() -> None:
    close = np.array([100.0, 50.0, np.nan, np.nan, 49.0, 49.0, 49.0, 49.0, 49.0, 49.0])
    adjusted = adjusted_close(DAYS, close, [action(5, ActionKind.DIVIDEND, "1")])
    np.testing.assert_allclose(adjusted[:2], [98.0, 49.0])
    assert np.isnan(adjusted[2:4]).all()


def test_a_dividend_as_large_as_the_price_makes_earlier_closes_unknown() -> None:
    adjusted = adjusted_close(DAYS, np.full(10, 5.0), [action(4, ActionKind.DIVIDEND, "5")])
    assert np.isnan(adjusted[:3]).all()
    np.testing.assert_array_equal(adjusted[3:], np.full(7, 5.0))


@pytest.mark.parametrize("day", [1, 31])
def test_an_action_outside_the_series_changes_only_the_closes_before_it(day: int) -> None:
    adjusted = adjusted_close(DAYS, np.full(10, 8.0), [action(day, ActionKind.SPLIT, "2")])
    np.testing.assert_array_equal(adjusted, np.full(10, 8.0 if day == 1 else 4.0))


@settings(max_examples=100, deadline=None)
@given(
    growth=st.lists(st.floats(-0.2, 0.2), min_size=9, max_size=9),
    splits=st.dictionaries(st.integers(2, 10), st.sampled_from(["2", "3", "0.1"]), max_size=3),
    dividends=st.dictionaries(st.integers(2, 10), st.sampled_from([0.001, 0.02]), max_size=3),
)
def test_returns_of_the_adjusted_series_are_what_a_holder_earned(
    growth: list[float], splits: dict[int, str], dividends: dict[int, float]
) -> None:
    """A holder's wealth grows by `growth` each day, however it is split and paid out."""
    dividends = {day: share for day, share in dividends.items() if day not in splits}
    close, actions = [100.0], []
    for day, rate in enumerate(growth, start=2):
        ratio = float(splits.get(day, "1"))
        paid = close[-1] * dividends.get(day, 0.0)
        close.append((close[-1] - paid) * (1 + rate) / ratio)
        if day in splits:
            actions.append(action(day, ActionKind.SPLIT, splits[day]))
        if paid:
            actions.append(CorporateAction(date(2024, 1, day), ActionKind.DIVIDEND, Decimal(paid)))
    adjusted = adjusted_close(DAYS, np.array(close), actions[::-1])
    np.testing.assert_allclose(simple_returns(adjusted[:, None])[1:, 0], growth, rtol=1e-9, atol=1e-12)
    assert adjusted[-1] == close[-1]


def test_only_known_closes_that_differ_by_more_than_a_hundredth_of_a_percent_are_restated() -> None:
    ours = np.array([100.0, 100.0, 100.0, np.nan, 100.0])
    theirs = np.array([100.0, 100.009, 100.02, 100.0, np.nan])
    np.testing.assert_array_equal(restated(ours, theirs), [False, False, True, False, False])

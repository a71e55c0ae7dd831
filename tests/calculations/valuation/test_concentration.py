"""Concentration of portfolios, and the weights of groups such as sectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_cases import Book, D, Lot, World, flat, run

from closingbell.arrays import Ints
from closingbell.calculations.valuation import group_weights


def test_concentration_adds_up_lots_of_the_same_symbol() -> None:
    lots = tuple(Lot(holding=holding) for holding in (7, 7, 1, 2))
    result = run(World((flat(10),)), Book(lots))
    assert result.hhi[0, 6] == pytest.approx(10_000 * (0.25 + 0.0625 * 2))
    assert result.effective_positions[0, 6] == pytest.approx(1 / 0.375)
    assert result.top3_weight[0, 6] == 1


def test_the_top_weights_take_the_largest_three_and_ten_whatever_their_sign() -> None:
    sizes = [D(size if size % 2 else -size) for size in range(1, 13)]
    lots = tuple(Lot(size, holding=row) for row, size in enumerate(sizes))
    result = run(World((flat(10),)), Book(lots))
    assert result.top3_weight[0, 6] == pytest.approx((12 + 11 + 10) / 78)
    assert result.top10_weight[0, 6] == pytest.approx((78 - 1 - 2) / 78)
    assert (result.long_count[0, 6], result.short_count[0, 6], result.positions[0, 6]) == (6, 6, 12)


def test_a_portfolio_of_cash_has_no_concentration_and_full_coverage() -> None:
    result = run(World((flat(10),)), Book())
    assert result.coverage[0, 6] == 1
    assert result.leverage[0, 6] == 0
    assert np.isnan([result.hhi[0, 6], result.effective_positions[0, 6], result.top3_weight[0, 6]]).all()


# --- weights of groups ---


def cells(*rows: Sequence[int]) -> Ints:
    return np.array(rows, dtype=np.int64)


def test_a_group_weighs_its_share_of_gross_value() -> None:
    value, group = cells([100], [100], [100], [100]), cells([1], [1], [1], [0])
    weights = group_weights(value, np.zeros(4, dtype=np.int64), group, 1, 3)
    assert weights.tolist() == [[[0.25, 0.75, 0.0]]]


def test_a_short_adds_to_the_weight_of_its_group_as_a_long_does() -> None:
    weights = group_weights(cells([300], [-100], [-100]), np.zeros(3, dtype=np.int64), cells([0], [0], [1]), 1, 2)
    assert weights.tolist() == [[[0.8, 0.2]]]


def test_a_lot_weighs_in_the_group_it_belongs_to_on_each_session() -> None:
    value, group = cells([100, 100], [300, 300]), cells([0, 1], [1, 1])
    weights = group_weights(value, np.zeros(2, dtype=np.int64), group, 1, 2)
    assert weights.tolist() == [[[0.25, 0.75], [0.0, 1.0]]]


def test_groups_have_no_weight_in_a_portfolio_without_gross_value() -> None:
    weights = group_weights(cells([0, 100], [100, 0]), np.array([0, 2]), cells([1, 1], [1, 1]), 4, 2)
    assert np.isnan(weights).all(axis=2).tolist() == [[True, False], [True, True], [False, True], [True, True]]
    assert weights[0, 1].tolist() == weights[2, 0].tolist() == [0.0, 1.0]


def test_the_weights_of_groups_are_exact_where_floats_would_lose_cents() -> None:
    value, group = cells([2**53], [1], [1], [2**53 + 2]), cells([0], [0], [0], [1])
    assert group_weights(value, np.zeros(4, dtype=np.int64), group, 1, 2).tolist() == [[[0.5, 0.5]]]


@pytest.mark.parametrize(("lots", "count", "groups"), [(0, 0, 0), (0, 2, 0), (0, 2, 3), (3, 1, 1)])
def test_no_lots_or_no_sessions_give_weights_of_the_requested_shape(lots: int, count: int, groups: int) -> None:
    for sessions in (0, 2):
        nothing = np.zeros((lots, sessions), dtype=np.int64)
        weights = group_weights(nothing, np.zeros(lots, dtype=np.int64), nothing, count, groups)
        assert weights.shape == (count, sessions, groups)
        assert np.isnan(weights).all()


@pytest.mark.parametrize("group", [-1, 3])
def test_a_group_that_does_not_exist_is_refused(group: int) -> None:
    with pytest.raises(ValueError, match=r"groups must lie in 0\.\.2"):
        group_weights(cells([100], [100]), np.array([0, 1]), cells([0], [group]), 2, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_the_weights_of_groups_match_a_plain_loop_and_depend_on_no_other_portfolio(seed: int, lots: int) -> None:
    generator = np.random.default_rng(seed)
    count, sessions, groups = 4, 3, 5
    portfolio = np.sort(generator.integers(0, count, lots))
    group = generator.integers(0, groups, (lots, sessions))
    value = generator.integers(-10_000_00, 10_000_00, (lots, sessions)) * (generator.random((lots, sessions)) < 0.7)
    together = group_weights(value, portfolio, group, count, groups)
    for owner in range(count):
        mine = portfolio == owner
        alone = group_weights(value[mine], np.zeros(mine.sum(), dtype=np.int64), group[mine], 1, groups)
        assert alone[0].tobytes() == together[owner].tobytes()
        for session in range(sessions):
            gross = [0] * groups
            for row in np.flatnonzero(mine):
                gross[group[row, session]] += abs(int(value[row, session]))
            expected = [cents / sum(gross) if sum(gross) else float("nan") for cents in gross]
            np.testing.assert_array_equal(together[owner, session], expected)

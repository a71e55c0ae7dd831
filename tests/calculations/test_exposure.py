"""Factor exposures against closed forms and a plain double loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.arrays import Floats, Ints
from closingbell.calculations.exposure import PricedLots, factor_exposures, position_exposures

NAN = float("nan")


def lots_of(rows: list[tuple[int, int, bool, int, bool]]) -> PricedLots:
    """Return the lots of one session from rows of (portfolio, column, eligible, cents, priced)."""
    return PricedLots(
        portfolio=np.array([row[0] for row in rows], dtype=np.int64),
        column=np.array([row[1] for row in rows], dtype=np.int64),
        eligible=np.array([row[2] for row in rows], dtype=np.bool_),
        value=np.array([[row[3]] for row in rows], dtype=np.int64).reshape(-1, 1),
        priced=np.array([[row[4]] for row in rows], dtype=np.bool_).reshape(-1, 1),
    )


def one_factor(*betas: float) -> Floats:
    return np.array([[betas]])


def nav_of(*cents: int) -> Ints:
    return np.array(cents, dtype=np.int64)[:, None]


def scalars(result: Any) -> tuple[float, float, float, int]:
    return tuple(getattr(result, name).item() for name in ("dollar", "value", "coverage", "clipped"))


def test_an_exposure_is_the_sum_of_value_times_beta() -> None:
    lots = lots_of([(0, 0, True, 300_00, True), (0, 1, True, -100_00, True)])
    result = factor_exposures(lots, nav_of(1000_00), one_factor(1.5, 0.5))
    assert scalars(result) == (400.0, 0.4, 1.0, 0)


def test_a_position_without_a_beta_is_left_out_and_lowers_coverage() -> None:
    rows = [(0, 0, True, 300_00, True), (0, 1, True, -100_00, True), (0, -1, False, 100_00, True)]
    result = factor_exposures(lots_of(rows), nav_of(1000_00), one_factor(2.0, NAN))
    assert scalars(result) == (600.0, 0.6, 0.6, 0)


def test_an_unpriced_position_changes_neither_exposure_nor_coverage() -> None:
    rows = [(0, 0, True, 300_00, True), (0, 1, True, 0, False)]
    result = factor_exposures(lots_of(rows), nav_of(1000_00), one_factor(1.0, 9.0))
    assert scalars(result) == (300.0, 0.3, 1.0, 0)


def test_betas_beyond_five_are_clipped_and_counted() -> None:
    rows = [(0, 0, True, 100_00, True), (0, 1, True, 100_00, True), (0, 2, True, 100_00, True)]
    result = factor_exposures(lots_of(rows), nav_of(1000_00), one_factor(7.0, -6.0, 5.0))
    assert scalars(result) == (500.0, 0.5, 1.0, 2)


def test_a_portfolio_without_any_beta_has_an_unknown_exposure_and_no_coverage() -> None:
    lots = lots_of([(0, 0, True, 100_00, True), (0, -1, False, 100_00, True)])
    dollar, value, coverage, clipped = scalars(factor_exposures(lots, nav_of(1000_00), one_factor(NAN)))
    assert np.isnan([dollar, value]).all()
    assert (coverage, clipped) == (0.0, 0)


def test_a_portfolio_without_positions_has_unknown_exposure_and_coverage() -> None:
    result = factor_exposures(lots_of([]), nav_of(1000_00), one_factor(1.0))
    assert np.isnan(scalars(result)[:3]).all()


def test_without_positive_nav_only_the_dollar_exposure_is_known() -> None:
    lots = lots_of([(0, 0, True, 100_00, True), (1, 0, True, 100_00, True)])
    result = factor_exposures(lots, nav_of(0, -5), one_factor(1.5))
    assert result.dollar.ravel().tolist() == [150.0, 150.0]
    assert np.isnan(result.value).all()
    assert np.isnan(position_exposures(lots, nav_of(0, -5), one_factor(1.5)).value).all()


def test_a_position_s_exposure_is_its_clipped_beta_times_its_value() -> None:
    rows = [(0, 0, True, 300_00, True), (0, 1, True, 100_00, True), (0, -1, False, 100_00, True)]
    result = position_exposures(lots_of(rows), nav_of(1000_00), one_factor(-8.0, NAN))
    np.testing.assert_array_equal(result.dollar.ravel(), [-1500.0, NAN, NAN])
    np.testing.assert_array_equal(result.value.ravel(), [-1.5, NAN, NAN])


def test_betas_are_those_of_the_same_session_and_factor() -> None:
    lots = PricedLots(
        portfolio=np.array([0]),
        column=np.array([1]),
        eligible=np.array([True]),
        value=np.array([[100_00, 200_00]]),
        priced=np.array([[True, True]]),
    )
    betas = np.arange(12.0).reshape(2, 3, 2) / 10
    result = factor_exposures(lots, np.array([[100_00, 100_00]]), betas)
    np.testing.assert_allclose(result.value[0], [[0.1, 0.3, 0.5], [1.4, 1.8, 2.2]])


@st.composite
def cases(draw: st.DrawFn) -> tuple[PricedLots, Ints, Floats]:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, portfolios, sessions, columns = draw(st.integers(0, 30)), 4, 2, 5
    priced = generator.random((count, sessions)) < 0.8
    lots = PricedLots(
        portfolio=np.sort(generator.integers(0, portfolios, count)),
        column=generator.integers(0, columns, count),
        eligible=generator.random(count) < 0.7,
        value=generator.integers(-10_000_00, 10_000_00, (count, sessions)) * priced,
        priced=priced,
    )
    betas = generator.normal(1, 4, (sessions, 3, columns))
    betas[generator.random(betas.shape) < 0.2] = np.nan
    return lots, generator.integers(-5_000_00, 50_000_00, (portfolios, sessions)), betas


@settings(max_examples=60, deadline=None)
@given(cases())
def test_any_portfolio_matches_a_plain_loop(case: tuple[PricedLots, Ints, Floats]) -> None:
    lots, nav, betas = case
    result = factor_exposures(lots, nav, betas)
    for owner, session, factor in np.ndindex(result.dollar.shape):
        dollar, known, gross, clipped, betas_seen = 0.0, 0, 0, 0, 0
        for row in np.flatnonzero(lots.portfolio == owner):
            if not lots.priced[row, session]:
                continue
            gross += abs(int(lots.value[row, session]))
            beta = betas[session, factor, lots.column[row]]
            if lots.eligible[row] and not np.isnan(beta):
                betas_seen += 1
                known += abs(int(lots.value[row, session]))
                clipped += abs(beta) > 5
                dollar += int(lots.value[row, session]) / 100 * min(max(beta, -5.0), 5.0)
        at = owner, session, factor
        assert result.dollar[at] == pytest.approx(dollar if betas_seen else NAN, rel=1e-12, abs=1e-6, nan_ok=True)
        share = dollar * 100 / nav[owner, session] if betas_seen and nav[owner, session] > 0 else NAN
        assert result.value[at] == pytest.approx(share, rel=1e-9, abs=1e-9, nan_ok=True)
        assert result.coverage[at] == pytest.approx(known / gross if gross else NAN, nan_ok=True)
        assert result.clipped[at] == clipped


@settings(max_examples=30, deadline=None)
@given(cases())
def test_a_portfolio_s_exposure_is_the_running_sum_of_its_positions(case: tuple[PricedLots, Ints, Floats]) -> None:
    lots, nav, betas = case
    total, single = factor_exposures(lots, nav, betas), position_exposures(lots, nav, betas)
    for owner in range(len(nav)):
        mine = single.dollar[lots.portfolio == owner]
        known = ~np.isnan(mine)
        summed = np.zeros(mine.shape[1:])
        for row, has_beta in zip(mine, known, strict=True):
            summed = np.where(has_beta, summed + row, summed)
        np.testing.assert_array_equal(total.dollar[owner], np.where(known.any(axis=0), summed, np.nan))


@settings(max_examples=30, deadline=None)
@given(cases())
def test_a_portfolio_is_the_same_to_the_bit_alone_or_with_others(case: tuple[PricedLots, Ints, Floats]) -> None:
    lots, nav, betas = case
    together = factor_exposures(lots, nav, betas)
    for owner in range(len(nav)):
        mine = lots.portfolio == owner
        alone = replace(
            lots,
            portfolio=np.zeros(mine.sum(), dtype=np.int64),
            column=lots.column[mine],
            eligible=lots.eligible[mine],
            value=lots.value[mine],
            priced=lots.priced[mine],
        )
        separate = factor_exposures(alone, nav[owner : owner + 1], betas)
        for name in ("dollar", "value", "coverage", "clipped"):
            assert getattr(separate, name)[0].tobytes() == getattr(together, name)[owner].tobytes()

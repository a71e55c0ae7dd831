"""Symbol metrics equal those of pandas, and do not depend on unrelated data."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from provider_contract import nyse

from closingbell.calculations.metrics import SymbolMetrics, symbol_metrics

SESSIONS = nyse().session_array(pd.Timestamp("2019-11-01").date(), pd.Timestamp("2021-03-31").date())
COMPUTED = 60


def random_market(seed: int, symbols: int = 6) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return adjusted closes, closes and volumes: one symbol complete, one young, one delisted, the rest with gaps."""
    random = np.random.default_rng(seed)
    shape = (len(SESSIONS), symbols)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=0))
    volume = np.round(random.lognormal(13, 1, shape))
    adjusted = close * np.linspace(0.9, 1.0, len(SESSIONS))[:, None]
    hidden = random.random(shape) < 0.05
    hidden[:, 0] = False
    hidden[:-40, 1] = True
    hidden[-30:, 2] = True
    for series in (adjusted, close, volume):
        series[hidden] = np.nan
    return adjusted, close, volume


@pytest.fixture(scope="module")
def market() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    return random_market(7)


@pytest.fixture(scope="module")
def metrics(market: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]) -> SymbolMetrics:
    return symbol_metrics(SESSIONS, *market, COMPUTED)


def expect(actual: NDArray[np.float64], frame: pd.DataFrame) -> None:
    np.testing.assert_allclose(actual, frame.to_numpy()[-COMPUTED:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "count"), [("return_1d", 1), ("return_1m", 21), ("return_3m", 63), ("return_1y", 252)]
)
def test_a_return_over_sessions_equals_the_ratio_of_two_adjusted_closes(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...], name: str, count: int
) -> None:
    adjusted = pd.DataFrame(market[0])
    expect(getattr(metrics, name), adjusted / adjusted.shift(count) - 1)


@pytest.mark.parametrize(("name", "period"), [("return_mtd", "M"), ("return_ytd", "Y")])
def test_a_return_to_date_starts_from_the_last_session_of_the_period_before(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...], name: str, period: str
) -> None:
    adjusted = pd.DataFrame(market[0], index=pd.PeriodIndex(pd.DatetimeIndex(SESSIONS), freq=period))
    last = adjusted.groupby(level=0).apply(lambda rows: rows.iloc[-1])
    base = last.reindex(adjusted.index - 1)
    np.testing.assert_allclose(
        getattr(metrics, name), adjusted.to_numpy()[-COMPUTED:] / base.to_numpy()[-COMPUTED:] - 1, rtol=1e-12
    )


@pytest.mark.parametrize("window", [21, 63])
def test_volatility_is_the_annualised_sample_deviation_of_the_known_returns(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...], window: int
) -> None:
    returns = pd.DataFrame(market[0]).pct_change(fill_method=None)
    least = -(-window * 2 // 3)
    expect(getattr(metrics, f"volatility_{window}"), returns.rolling(window, min_periods=least).std() * np.sqrt(252))


def test_the_year_s_extremes_are_those_of_the_adjusted_closes_at_the_session_s_own_price(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...]
) -> None:
    adjusted, close = pd.DataFrame(market[0]), pd.DataFrame(market[1])
    expect(metrics.high_52w, adjusted.rolling(252, min_periods=1).max() * close / adjusted)
    expect(metrics.low_52w, adjusted.rolling(252, min_periods=1).min() * close / adjusted)


def test_dollar_volume_is_the_mean_of_close_times_volume(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...]
) -> None:
    dollars = pd.DataFrame(market[1] * market[2])
    expect(metrics.average_dollar_volume_21, dollars.rolling(21, min_periods=14).mean())


def test_drawdown_is_the_worst_fall_from_a_previous_high(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...]
) -> None:
    def worst(window: pd.Series) -> float:
        return float((window / window.cummax() - 1).min())

    expect(metrics.max_drawdown_252, pd.DataFrame(market[0]).rolling(252, min_periods=1).apply(worst))


def test_observations_count_the_known_returns_of_the_year(
    metrics: SymbolMetrics, market: tuple[NDArray[np.float64], ...]
) -> None:
    returns = pd.DataFrame(market[0]).pct_change(fill_method=None)
    expect(metrics.observations.astype(np.float64), returns.rolling(252, min_periods=0).count())


def test_a_symbol_without_a_price_has_no_returns_and_no_range(metrics: SymbolMetrics) -> None:
    gone = 2
    for name in ("price", "return_1d", "return_mtd", "return_ytd", "high_52w", "low_52w"):
        assert np.isnan(getattr(metrics, name)[-1, gone]), name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), first=st.integers(1, COMPUTED), keep=st.sets(st.integers(0, 5), min_size=1))
def test_other_symbols_and_other_sessions_do_not_change_a_symbol_s_numbers(
    seed: int, first: int, keep: set[int]
) -> None:
    adjusted, close, volume = random_market(seed)
    columns = sorted(keep)
    complete = symbol_metrics(SESSIONS, adjusted, close, volume, COMPUTED)
    part = symbol_metrics(SESSIONS, adjusted[:, columns], close[:, columns], volume[:, columns], first)
    for field in fields(SymbolMetrics):
        expected = getattr(complete, field.name)[-first:, columns]
        np.testing.assert_array_equal(getattr(part, field.name), expected, err_msg=field.name)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.integers(-8, 8))
def test_a_change_of_the_unit_of_money_does_not_change_ratios(seed: int, power: int) -> None:
    adjusted, close, volume = random_market(seed)
    unit = 2.0**power
    before = symbol_metrics(SESSIONS, adjusted, close, volume, 5)
    after = symbol_metrics(SESSIONS, adjusted * unit, close * unit, volume, 5)
    for name in ("return_1d", "return_ytd", "volatility_21", "max_drawdown_252"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(after.high_52w, before.high_52w * unit, rtol=1e-12)

"""Factor betas equal those of statsmodels and scikit-learn, and do not depend on unrelated data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_contract import nyse, value
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from closingbell.arrays import Floats
from closingbell.calculations.factor_definitions import (
    FACTORS,
    LONGEST_WINDOW,
    PROVIDER_FACTOR,
    REGRESSOR_FUNDS,
    FactorDefinition,
    Method,
)
from closingbell.calculations.factors import FactorEstimates, Quality, estimate_factors, simple_returns
from closingbell.providers.demo import DEMO_FUNDS, DEMO_STOCKS, DemoProvider

SYMBOLS = (*DEMO_STOCKS, *DEMO_FUNDS)
LAST = date(2022, 12, 28)
SESSIONS = nyse().session_array(nyse().offset(LAST, -500), LAST)
WINDOWS_INSIDE = len(SESSIONS) - LONGEST_WINDOW
"""With this many sessions, the oldest window begins with the first known return."""

RIDGE = [factor.order for factor in FACTORS if factor.method is Method.RIDGE]
OLS = [factor.order for factor in FACTORS if factor.method not in {Method.RIDGE, Method.PROVIDER}]
GROWTH_VALUE = 9
STATISTICS = ("beta", "std_error", "t_stat", "r_squared")

STOCKS = tuple("ABCDEF")
UNIVERSE = (*REGRESSOR_FUNDS, *STOCKS)
FUNDS = len(REGRESSOR_FUNDS)
ROWS = LONGEST_WINDOW + 60
COMPUTED = 12
SEEDS = st.integers(0, 10_000)


def estimate(returns: Floats, sessions: int, symbols: Sequence[str] = UNIVERSE) -> FactorEstimates:
    return estimate_factors(returns, symbols, sessions, np.full((sessions, len(symbols)), np.nan))


def part(estimates: FactorEstimates, rows: slice | Sequence[int], columns: Sequence[int]) -> FactorEstimates:
    return FactorEstimates(
        **{field.name: getattr(estimates, field.name)[rows][:, list(columns)] for field in fields(FactorEstimates)}
    )


def assert_same_bits(
    actual: FactorEstimates, expected: FactorEstimates, factors: Iterable[int] = range(len(FACTORS))
) -> None:
    for field in fields(FactorEstimates):
        ours, theirs = (getattr(estimates, field.name)[:, :, list(factors)] for estimates in (actual, expected))
        np.testing.assert_array_equal(ours, theirs, err_msg=field.name)


def assert_unknown(estimates: FactorEstimates, factors: Sequence[int]) -> None:
    """All statistics are unknown, and the rows are flagged as such."""
    for name in STATISTICS:
        assert np.isnan(getattr(estimates, name)[:, :, factors]).all(), name
    assert (estimates.quality[:, :, factors] == Quality.INSUFFICIENT_HISTORY).all()


def stocks_of(estimates: FactorEstimates) -> FactorEstimates:
    return part(estimates, slice(None), range(FUNDS, FUNDS + len(STOCKS)))


# --- the demo's prices, against statsmodels and scikit-learn ---


def punch(close: Floats) -> None:
    """Remove closes: single ones, runs of both stocks and funds, the start of two symbols and the end of one."""
    random = np.random.default_rng(11)
    place = {symbol: column for column, symbol in enumerate(SYMBOLS)}
    hidden = random.random(close.shape) < 0.003
    for symbol, start in (("BAC", 200), ("BAC", 440), ("IWM", 300), ("TLT", 120), ("XOM", 420)):
        hidden[start : start + 4, place[symbol]] = True
    hidden[:-45, place["KO"]] = True
    hidden[:-20, place["PEP"]] = True
    hidden[250:, place["GE"]] = True
    hidden[:, [place[symbol] for symbol in ("AAPL", "MSFT", "SPY", "QUAL")]] = False
    close[hidden] = np.nan


def quality(observations: int, factor: FactorDefinition) -> Quality:
    assert factor.window is not None
    assert factor.minimum is not None
    if observations < factor.minimum:
        return Quality.INSUFFICIENT_HISTORY
    return Quality.FULL_HISTORY if 10 * observations >= 9 * factor.window else Quality.LIMITED_HISTORY


def fit_ols(y: Floats, x: Floats) -> tuple[float, float, float, float]:
    fit = sm.OLS(y, np.column_stack([np.ones(len(x)), x])).fit()
    assert fit.nobs == len(y)
    return float(fit.params[1]), float(fit.bse[1]), float(fit.tvalues[1]), float(fit.rsquared)


def fit_ridge(y: Floats, x: Floats) -> tuple[Floats, float]:
    scaler = StandardScaler()
    standardised, centred = scaler.fit_transform(x), y - y.mean()
    model = Ridge(alpha=1.0, fit_intercept=False).fit(standardised, centred)
    return np.asarray(model.coef_ / scaler.scale_), float(model.score(standardised, centred))


class Oracle:
    """The libraries' estimates for every demo symbol on some sessions."""

    def __init__(self, returns: Floats, rows: Sequence[int]) -> None:
        self.returns = dict(zip(SYMBOLS, returns.T, strict=True))
        self.expected = FactorEstimates.unknown(len(rows), len(SYMBOLS), len(FACTORS))
        for session, row in enumerate(rows):
            for column, symbol in enumerate(SYMBOLS):
                for index in OLS:
                    self._ols(session, row, column, symbol, FACTORS[index])
                self._ridge(session, row, column, symbol)

    def _ols(self, session: int, row: int, column: int, symbol: str, factor: FactorDefinition) -> None:
        x = self._window(factor.regressors[0], row, factor)
        if len(factor.regressors) == 2:
            x = x - self._window(factor.regressors[1], row, factor)
        y = self._window(symbol, row, factor)
        known = np.isfinite(x) & np.isfinite(y)
        cell = session, column, factor.order
        self._sample(cell, int(known.sum()), is_proxy=factor.regressors == (symbol,))
        if factor.regressors == (symbol,):
            self.expected.beta[cell], self.expected.std_error[cell], self.expected.r_squared[cell] = 1.0, 0.0, 1.0
        elif self.expected.quality[cell] != Quality.INSUFFICIENT_HISTORY:
            for name, number in zip(STATISTICS, fit_ols(y[known], x[known]), strict=True):
                getattr(self.expected, name)[cell] = number

    def _ridge(self, session: int, row: int, column: int, symbol: str) -> None:
        funds = [FACTORS[index].regressors[0] for index in RIDGE]
        x = np.column_stack([self._window(fund, row, FACTORS[RIDGE[0]]) for fund in funds])
        y = self._window(symbol, row, FACTORS[RIDGE[0]])
        known = np.isfinite(x).all(axis=1) & np.isfinite(y)
        cells = session, column, RIDGE
        for index in RIDGE:
            self._sample((session, column, index), int(known.sum()), is_proxy=symbol in funds)
        if symbol in funds:
            self.expected.beta[cells], self.expected.r_squared[cells] = [float(fund == symbol) for fund in funds], 1.0
        elif self.expected.quality[session, column, RIDGE[0]] != Quality.INSUFFICIENT_HISTORY:
            self.expected.beta[cells], self.expected.r_squared[cells] = fit_ridge(y[known], x[known])

    def _window(self, symbol: str, row: int, factor: FactorDefinition) -> Floats:
        assert factor.window is not None
        window: Floats = self.returns[symbol][max(row - factor.window + 1, 0) : row + 1]
        return window

    def _sample(self, cell: tuple[int, int, int], observations: int, *, is_proxy: bool) -> None:
        self.expected.observations[cell] = observations
        self.expected.quality[cell] = Quality.PROXY if is_proxy else quality(observations, FACTORS[cell[2]])


@pytest.fixture(
    scope="module",
    params=[WINDOWS_INSIDE, len(SESSIONS)],
    ids=["windows inside the data", "windows that begin before the data"],
)
def estimates(request: pytest.FixtureRequest, demo: DemoProvider) -> tuple[FactorEstimates, FactorEstimates]:
    """Return the estimates of twenty sessions, taken from one call over many, and those of the libraries.

    With windows that begin before the first price, no symbol's returns are complete; other code computes these.
    """
    sessions: int = request.param
    bars = demo.daily_bars(SYMBOLS, SESSIONS[0].item(), SESSIONS[-1].item())
    close = np.column_stack([value(bars[symbol]).close for symbol in SYMBOLS])
    punch(close)
    returns = simple_returns(close)
    assert returns.shape == (len(SESSIONS), len(SYMBOLS))
    chosen = np.linspace(0, sessions - 1, 20).astype(int)
    actual = part(estimate(returns, sessions, SYMBOLS), chosen.tolist(), range(len(SYMBOLS)))
    return actual, Oracle(returns, (chosen + len(returns) - sessions).tolist()).expected


@pytest.mark.parametrize("index", OLS, ids=lambda index: FACTORS[index].name)
def test_ols_rows_equal_statsmodels(estimates: tuple[FactorEstimates, FactorEstimates], index: int) -> None:
    actual, expected = estimates
    fitted = expected.quality[:, :, index] != Quality.PROXY
    assert np.isfinite(expected.beta[:, :, index]).sum() > 250
    for name in STATISTICS:
        ours, theirs = getattr(actual, name)[:, :, index][fitted], getattr(expected, name)[:, :, index][fitted]
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10, err_msg=name)


def test_ridge_rows_equal_scikit_learn(estimates: tuple[FactorEstimates, FactorEstimates]) -> None:
    actual, expected = (part(side, slice(None), range(len(DEMO_STOCKS) + 2)) for side in estimates)
    assert np.isfinite(expected.beta[:, :, RIDGE]).sum() > 1500
    for name in STATISTICS:
        ours, theirs = getattr(actual, name)[:, :, RIDGE], getattr(expected, name)[:, :, RIDGE]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-10, err_msg=name)


def test_every_row_counts_its_own_sample_and_has_the_matching_flag(
    estimates: tuple[FactorEstimates, FactorEstimates],
) -> None:
    actual, expected = estimates
    estimated = OLS + RIDGE
    assert set(np.unique(expected.quality[:, :, estimated])) == set(Quality)
    np.testing.assert_array_equal(actual.observations[:, :, estimated], expected.observations[:, :, estimated])
    np.testing.assert_array_equal(actual.quality[:, :, estimated], expected.quality[:, :, estimated])


def test_a_row_without_enough_observations_is_unknown_and_every_other_is_known(
    estimates: tuple[FactorEstimates, FactorEstimates],
) -> None:
    actual, expected = estimates
    estimated = OLS + RIDGE
    short = expected.quality[:, :, estimated] == Quality.INSUFFICIENT_HISTORY
    np.testing.assert_array_equal(np.isnan(actual.beta[:, :, estimated]), short)
    for name in STATISTICS:
        assert np.isnan(getattr(actual, name)[:, :, estimated][short]).all(), name


def test_a_fund_that_is_the_regressor_has_its_beta_by_definition(
    estimates: tuple[FactorEstimates, FactorEstimates],
) -> None:
    actual, expected = estimates
    proxies = expected.quality == Quality.PROXY
    assert proxies.any(axis=(0, 2)).sum() == len(DEMO_FUNDS)
    for name in STATISTICS:
        ours, theirs = getattr(actual, name)[proxies], getattr(expected, name)[proxies]
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert set(actual.beta[proxies]) == {0.0, 1.0}


# --- generated markets ---


def random_market(seed: int) -> Floats:
    """Return the returns of all funds and six stocks: A complete, B young, C delisted, the rest with gaps."""
    random = np.random.default_rng(seed)
    market = random.normal(0.0004, 0.01, (ROWS, 1))
    returns: Floats = market * random.uniform(-0.5, 2.0, len(UNIVERSE)) + random.normal(0, 0.01, (ROWS, len(UNIVERSE)))
    hidden = random.random(returns.shape) < 0.03
    hidden[:, :FUNDS] &= random.random(FUNDS) < 0.3
    hidden[:, FUNDS] = False
    hidden[:-50, FUNDS + 1] = True
    hidden[-COMPUTED // 2 :, FUNDS + 2] = True
    returns[hidden] = np.nan
    return returns


@pytest.mark.parametrize(
    ("observations", "of_90", "of_180"),
    [
        (29, Quality.INSUFFICIENT_HISTORY, Quality.INSUFFICIENT_HISTORY),
        (30, Quality.LIMITED_HISTORY, Quality.INSUFFICIENT_HISTORY),
        (59, Quality.LIMITED_HISTORY, Quality.INSUFFICIENT_HISTORY),
        (60, Quality.LIMITED_HISTORY, Quality.LIMITED_HISTORY),
        (80, Quality.LIMITED_HISTORY, Quality.LIMITED_HISTORY),
        (81, Quality.FULL_HISTORY, Quality.LIMITED_HISTORY),
        (161, Quality.FULL_HISTORY, Quality.LIMITED_HISTORY),
        (162, Quality.FULL_HISTORY, Quality.FULL_HISTORY),
    ],
)
def test_history_is_full_from_nine_tenths_of_the_window_on(observations: int, of_90: Quality, of_180: Quality) -> None:
    returns = np.random.default_rng(observations).normal(0, 0.01, (ROWS, len(UNIVERSE)))
    returns[:-observations, FUNDS] = np.nan
    estimates = part(estimate(returns, 1), slice(None), [FUNDS])
    for index in OLS + RIDGE:
        window = FACTORS[index].window or 0
        assert estimates.quality[0, 0, index] == (of_90 if window == 90 else of_180)
        assert estimates.observations[0, 0, index] == min(observations, window)


def test_the_provider_s_beta_is_stored_as_it_is_and_its_other_statistics_are_unknown() -> None:
    betas = np.random.default_rng(1).normal(1, 0.5, (COMPUTED, len(UNIVERSE)))
    betas[2, 3] = np.nan
    estimates = estimate_factors(random_market(1), UNIVERSE, COMPUTED, betas)
    np.testing.assert_array_equal(estimates.beta[:, :, PROVIDER_FACTOR], betas)
    flags = np.where(np.isnan(betas), Quality.INSUFFICIENT_HISTORY, Quality.FULL_HISTORY)
    np.testing.assert_array_equal(estimates.quality[:, :, PROVIDER_FACTOR], flags)
    assert (estimates.observations[:, :, PROVIDER_FACTOR] == -1).all()
    for name in ("std_error", "t_stat", "r_squared"):
        assert np.isnan(getattr(estimates, name)[:, :, PROVIDER_FACTOR]).all(), name
    assert_same_bits(estimates, estimate(random_market(1), COMPUTED), OLS + RIDGE)


CONSTANTS = [0.0, 0.001, 0.0007, -0.0123, 1 / 3]


@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize(("fund", "index"), [("SPY", 0), ("TLT", 2)])
def test_a_fund_that_does_not_move_makes_the_beta_unknown(fund: str, index: int, constant: float) -> None:
    returns = random_market(3)
    returns[:, UNIVERSE.index(fund)] = constant
    assert_unknown(stocks_of(estimate(returns, COMPUTED)), [index])


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_spread_that_does_not_move_makes_the_beta_unknown(constant: float) -> None:
    returns = random_market(3)
    returns[:, UNIVERSE.index("VUG")] = returns[:, UNIVERSE.index("VTV")] + constant
    assert_unknown(stocks_of(estimate(returns, COMPUTED)), [GROWTH_VALUE])


@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("index", RIDGE, ids=lambda index: FACTORS[index].name)
def test_a_style_fund_that_does_not_move_makes_all_style_betas_unknown(index: int, constant: float) -> None:
    returns = random_market(3)
    returns[:, UNIVERSE.index(FACTORS[index].regressors[0])] = constant
    assert_unknown(stocks_of(estimate(returns, COMPUTED)), RIDGE)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_symbol_that_does_not_move_has_beta_zero(constant: float) -> None:
    returns = random_market(3)
    returns[:, FUNDS] = constant
    stock = part(estimate(returns, COMPUTED), slice(None), [FUNDS])
    np.testing.assert_allclose(stock.beta[:, :, OLS + RIDGE], 0.0, atol=1e-12)
    for name in ("std_error", "t_stat", "r_squared"):
        assert np.isnan(getattr(stock, name)).all(), name


def test_a_symbol_that_moves_exactly_with_the_market_leaves_no_residual() -> None:
    """Rounding must not make the residual negative."""
    random = np.random.default_rng(4)
    multiples = random.uniform(-3, 3, 200)
    returns = np.hstack([random.normal(0, 0.01, (ROWS, FUNDS)), np.zeros((ROWS, len(multiples)))])
    returns[:, FUNDS:] = returns[:, [UNIVERSE.index("SPY")]] * multiples
    symbols = [*REGRESSOR_FUNDS, *map(str, multiples)]
    stocks = part(estimate(returns, COMPUTED, symbols), slice(None), range(FUNDS, len(symbols)))
    np.testing.assert_allclose(stocks.beta[:, :, 0], np.tile(multiples, (COMPUTED, 1)), rtol=1e-10)
    np.testing.assert_allclose(stocks.std_error[:, :, 0], 0.0, atol=1e-7)
    np.testing.assert_allclose(stocks.r_squared[:, :, 0], 1.0, rtol=1e-10)
    assert (stocks.r_squared[:, :, 0] <= 1.0).all()


@pytest.mark.parametrize("fund", REGRESSOR_FUNDS)
def test_a_fund_outside_the_universe_makes_only_its_own_factors_unknown(fund: str) -> None:
    returns, gone = random_market(5), UNIVERSE.index(fund)
    style = any(FACTORS[index].regressors == (fund,) for index in RIDGE)
    lost = [i for i in OLS + RIDGE if fund in FACTORS[i].regressors or (style and i in RIDGE)]
    kept = [index for index in OLS + RIDGE if index not in lost]
    stocks = range(FUNDS - 1, len(UNIVERSE) - 1)
    symbols = [symbol for symbol in UNIVERSE if symbol != fund]
    without = part(estimate(np.delete(returns, gone, axis=1), COMPUTED, symbols), slice(None), stocks)
    assert_unknown(without, lost)
    assert (without.observations[:, :, lost] == 0).all()
    assert_same_bits(without, stocks_of(estimate(returns, COMPUTED)), kept)

    returns[:, gone] = np.nan
    assert_same_bits(stocks_of(estimate(returns, COMPUTED)), without)


def test_a_symbol_without_any_return_has_unknown_estimates() -> None:
    returns = random_market(6)
    returns[:, FUNDS + 3] = np.nan
    stock = part(estimate(returns, COMPUTED), slice(None), [FUNDS + 3])
    assert_unknown(stock, range(len(FACTORS)))
    assert (stock.observations[:, :, OLS + RIDGE] == 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.01, 100), sign=st.sampled_from([-1, 1]))
def test_a_symbol_that_moves_c_times_as_much_has_c_times_the_betas(seed: int, factor: float, sign: int) -> None:
    returns = random_market(seed)
    scaled = returns.copy()
    scaled[:, FUNDS:] *= sign * factor
    before, after = (stocks_of(estimate(market, COMPUTED)) for market in (returns, scaled))
    for name, multiple in (("beta", sign * factor), ("std_error", factor), ("t_stat", sign), ("r_squared", 1)):
        # A t or an r squared close to 0 has lost digits, hence the absolute tolerance.
        np.testing.assert_allclose(
            getattr(after, name), getattr(before, name) * multiple, rtol=1e-8, atol=1e-11 * abs(multiple), err_msg=name
        )
    np.testing.assert_array_equal(after.observations, before.observations)
    np.testing.assert_array_equal(after.quality, before.quality)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, shift=st.floats(-0.05, 0.05))
def test_a_constant_added_to_every_return_does_not_change_the_betas(seed: int, shift: float) -> None:
    returns = random_market(seed)
    shifted = returns.copy()
    shifted[:, FUNDS:] += shift
    before, after = (stocks_of(estimate(market, COMPUTED)) for market in (returns, shifted))
    for name in STATISTICS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-8, atol=1e-10, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, order=st.permutations(range(len(UNIVERSE))))
def test_the_order_of_the_symbols_changes_only_the_order_of_their_numbers(seed: int, order: list[int]) -> None:
    returns = random_market(seed)
    permuted = estimate(returns[:, order], COMPUTED, [UNIVERSE[column] for column in order])
    assert_same_bits(permuted, part(estimate(returns, COMPUTED), slice(None), order))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, keep=st.sets(st.sampled_from(range(FUNDS, len(UNIVERSE)))))
def test_adding_a_symbol_does_not_change_the_other_symbols_numbers(seed: int, keep: set[int]) -> None:
    returns = random_market(seed)
    columns = [*range(FUNDS), *sorted(keep)]
    alone = estimate(returns[:, columns], COMPUTED, [UNIVERSE[column] for column in columns])
    assert_same_bits(alone, part(estimate(returns, COMPUTED), slice(None), columns))


def test_a_universe_too_large_for_one_block_gives_the_same_numbers() -> None:
    returns, copies = random_market(8), 120
    crowd = np.hstack([returns, *[returns[:, FUNDS:]] * copies])
    symbols = [*UNIVERSE, *(f"{stock}{copy}" for copy in range(copies) for stock in STOCKS)]
    columns = [*range(len(UNIVERSE)), *list(range(FUNDS, len(UNIVERSE))) * copies]
    assert_same_bits(estimate(crowd, ROWS, symbols), part(estimate(returns, ROWS), slice(None), columns))


@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    sessions=st.integers(1, 20) | st.integers(1, ROWS),
    end=st.integers(ROWS - 20, ROWS) | st.integers(1, ROWS),
)
def test_a_session_s_rows_are_the_same_whichever_sessions_are_requested(seed: int, sessions: int, end: int) -> None:
    returns = random_market(seed)
    complete = estimate(returns, ROWS)
    sessions = min(sessions, end)
    some = estimate(returns[:end], sessions)
    assert_same_bits(some, part(complete, slice(end - sessions, end), range(len(UNIVERSE))))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, older=st.integers(0, 40))
def test_returns_older_than_every_window_change_nothing(seed: int, older: int) -> None:
    returns = random_market(seed)
    needed = returns[-(LONGEST_WINDOW + COMPUTED - 1) :]
    longer = np.vstack([np.full((older, len(UNIVERSE)), 99.0), needed])
    assert_same_bits(estimate(longer, COMPUTED), estimate(needed, COMPUTED))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, stock=st.sampled_from(range(FUNDS, len(UNIVERSE))), row=st.integers(0, ROWS - 1))
def test_a_gap_in_one_symbol_changes_only_the_windows_of_that_symbol_that_contain_it(
    seed: int, stock: int, row: int
) -> None:
    returns = random_market(seed)
    punched = returns.copy()
    punched[row, stock] = np.nan
    before, after = estimate(returns, ROWS), estimate(punched, ROWS)
    others = [column for column in range(len(UNIVERSE)) if column != stock]
    assert_same_bits(part(after, slice(None), others), part(before, slice(None), others))
    for index in OLS + RIDGE:
        reached = slice(row, row + (FACTORS[index].window or 0))
        lost = before.observations[:, stock, index] - after.observations[:, stock, index]
        assert (np.delete(lost, reached) == 0).all()
        assert set(lost[reached]) <= (
            {1} if np.isfinite(returns[row, stock]) and regressed(returns, index, row) else {0}
        )
        outside: list[int] = np.delete(np.arange(ROWS), np.arange(ROWS)[reached]).tolist()
        assert_same_bits(part(after, outside, [stock]), part(before, outside, [stock]), [index])


def regressed(returns: Floats, index: int, row: int) -> bool:
    """Return whether every regressor of a factor is known on a session."""
    funds = [FACTORS[i].regressors[0] for i in RIDGE] if index in RIDGE else FACTORS[index].regressors
    return bool(np.isfinite(returns[row, [UNIVERSE.index(fund) for fund in funds]]).all())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.floats(0.01, 10_000), min_size=1, max_size=30))
def test_a_return_is_the_ratio_of_the_closes_of_two_adjacent_sessions(
    closes: list[float | None],
) -> None:
    returns = simple_returns(np.array([[np.nan if close is None else close] for close in closes]))[:, 0]
    expected = [
        np.nan if before is None or after is None else after / before - 1.0 for before, after in pairwise(closes)
    ]
    np.testing.assert_array_equal(returns, [np.nan, *expected])


def test_a_gap_never_becomes_one_return_over_several_days() -> None:
    close = np.array([[100.0, 10.0], [np.nan, 11.0], [np.nan, 12.1], [121.0, np.nan], [133.1, 13.0]])
    returns = simple_returns(close)
    np.testing.assert_allclose(returns[:, 0], [np.nan, np.nan, np.nan, np.nan, 0.1])
    np.testing.assert_allclose(returns[:, 1], [np.nan, 0.1, 0.1, np.nan, np.nan])


def test_after_a_price_of_zero_there_is_no_return() -> None:
    close = np.array([[2.0], [0.0], [3.0], [6.0]])
    np.testing.assert_array_equal(simple_returns(close), [[np.nan], [-1.0], [np.nan], [1.0]])

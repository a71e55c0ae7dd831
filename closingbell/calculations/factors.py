"""Factor betas of all symbols and sessions at once.

Each regression is computed from window sums (observations, sums, sums of products) of the symbol's and the
regressors' returns, see `closingbell.calculations.windows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from closingbell.arrays import Bools, Floats, Ints
from closingbell.calculations.factor_definitions import FACTORS, FactorDefinition, Method
from closingbell.calculations.windows import last_rows, window_sums

RIDGE_ALPHA = 1.0
FULL_HISTORY_SHARE = 0.9
CELLS = 1 << 17
"""Sessions x symbols computed at a time, so that the sums of a block stay in the processor's cache."""

RELATIVE_ZERO = 1e-12
"""A centred sum of squares below this share of the raw one is rounding error: the series does not vary."""


class Quality(IntEnum):
    """What an estimate is based on."""

    FULL_HISTORY = 0
    LIMITED_HISTORY = 1
    INSUFFICIENT_HISTORY = 2
    PROXY = 3


@dataclass(frozen=True)
class FactorEstimates:
    """Betas and their statistics for S sessions, N symbols and F factors, in the order of the definitions.

    Parameters
    ----------
    beta, std_error, t_stat, r_squared : ndarray of float64, shape (S, N, F)
        NaN where unknown.
    observations : ndarray of int64, shape (S, N, F)
        Sessions on which both the symbol's and the regressors' returns are known; -1 where unknown (the provider's
        own beta).
    quality : ndarray of int64, shape (S, N, F)
        Values of `Quality`.
    """

    beta: Floats
    std_error: Floats
    t_stat: Floats
    r_squared: Floats
    observations: Ints
    quality: Ints

    @classmethod
    def unknown(cls, sessions: int, symbols: int, factors: int) -> FactorEstimates:
        """Return estimates with all values unknown, to be filled in."""
        shape = (sessions, symbols, factors)
        beta, std_error, t_stat, r_squared = (np.full(shape, np.nan) for _ in range(4))
        return cls(
            beta=beta,
            std_error=std_error,
            t_stat=t_stat,
            r_squared=r_squared,
            observations=np.zeros(shape, dtype=np.int64),
            quality=np.full(shape, Quality.INSUFFICIENT_HISTORY, dtype=np.int64),
        )

    def first(self, count: int) -> FactorEstimates:
        """Return the estimates of the first `count` symbols."""
        return FactorEstimates(**{name: values[:, :count] for name, values in vars(self).items()})


def simple_returns(adj_close: Floats) -> Floats:
    """Return simple returns over adjacent sessions, shape (T, N), the first row NaN.

    A missing price makes both returns that touch it unknown, so a gap never becomes one return over several days.
    """
    result = np.full_like(adj_close, np.nan)
    np.divide(adj_close[1:], adj_close[:-1], out=result[1:], where=adj_close[:-1] != 0)
    result[1:] -= 1.0
    return result


def estimate_factors(
    returns: Floats,
    symbols: Sequence[str],
    sessions: int,
    provider_beta: Floats,
    factors: Sequence[FactorDefinition] = FACTORS,
) -> FactorEstimates:
    """Estimate every factor of every symbol for the last `sessions` sessions of `returns`.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        Simple returns, NaN where unknown. Returns before the first row count as unknown.
    symbols : sequence of str, length N
        Names of the columns. A regressor fund that is not among them has no known return.
    sessions : int
        Number S of sessions at the end of `returns` to estimate.
    provider_beta : ndarray of float64, shape (S, N)
        The market-data provider's own betas as they were known on each session.
    factors : sequence of FactorDefinition, length F

    Returns
    -------
    FactorEstimates
        Arrays of shape (S, N, F).
    """
    longest = max(factor.window or 0 for factor in factors)
    rows = last_rows(returns, longest + sessions - 1)
    funds = _Funds(rows, symbols)
    result = FactorEstimates.unknown(sessions, len(symbols), len(factors))
    for block in _blocks(rows, sessions):
        _estimate_block(block, factors, funds, result)
    _fill_provider(factors, provider_beta, result)
    _mark_proxies(factors, symbols, result)
    return result


class _Funds:
    """The returns (T,) of the regressor funds; NaN throughout for a fund that is not among the symbols."""

    def __init__(self, returns: Floats, symbols: Sequence[str]) -> None:
        self._returns = {name: returns[:, column] for column, name in enumerate(symbols)}
        self._unknown = np.full(len(returns), np.nan)

    def regressor(self, factor: FactorDefinition) -> Floats:
        """Return the returns of the factor's fund, or the difference of its two funds' returns."""
        legs = [self._returns.get(name, self._unknown) for name in factor.regressors]
        return legs[0] if len(legs) == 1 else legs[0] - legs[1]


class _Block:
    """The returns of some symbols (T, n), with the window sums that several regressions share.

    Parameters
    ----------
    columns : ndarray of int64, shape (n,)
        Columns of the symbols among all symbols.
    values : ndarray of float64, shape (T, n)
        Their returns.
    complete : bool
        Whether all these returns are known.
    sessions : int
        Number S of sessions to estimate.
    """

    def __init__(self, columns: Ints, values: Floats, *, complete: bool, sessions: int) -> None:
        self.columns = columns
        self.complete = complete
        self.known = np.isfinite(values)
        self.values = np.where(self.known, values, 0.0)
        self._sessions = sessions
        self._own: dict[tuple[int, bytes], tuple[Floats, Floats]] = {}

    def pairs(self, regressors_known: Bools) -> Bools:
        """Return where both sides are known, shape (T, n), or (T, 1) where that is the same for all symbols."""
        column = regressors_known[:, None]
        return column if self.complete else column & self.known

    def own_sums(self, window: int, regressors_known: Bools) -> tuple[Floats, Floats]:
        """Return the sums of y and y² over the pairs of each window, shape (S, n)."""
        key = (window, regressors_known.tobytes())
        if key not in self._own:
            y = np.where(regressors_known[:, None], self.values, 0.0)
            self._own[key] = (self.window_sums(y, window), self.window_sums(y * y, window))
        return self._own[key]

    def window_sums(self, values: Floats, window: int) -> Floats:
        """Return the sums of `values` (T, columns) over the windows of the last S rows, shape (S, columns)."""
        return window_sums(values, window, self._sessions)


def _blocks(returns: Floats, sessions: int) -> Iterator[_Block]:
    """Cut the symbols into blocks of about `CELLS`; symbols without gaps form blocks of their own."""
    complete = np.isfinite(returns).all(axis=0)
    width = max(1, CELLS // sessions)
    for is_complete in (True, False):
        columns = np.flatnonzero(complete == is_complete)
        for start in range(0, len(columns), width):
            block = columns[start : start + width]
            yield _Block(block, returns[:, block], complete=is_complete, sessions=sessions)


def _estimate_block(block: _Block, factors: Sequence[FactorDefinition], funds: _Funds, result: FactorEstimates) -> None:
    """Estimate all regressions of one block of symbols and store them in `result`."""
    ridge = [index for index, factor in enumerate(factors) if factor.method is Method.RIDGE]
    if ridge:
        panel = np.column_stack([funds.regressor(factors[index]) for index in ridge])
        betas, r_squared, observations = _ridge(panel, block, factors[ridge[0]].window or 0)
        for index, beta in zip(ridge, betas, strict=True):
            unknown = np.full_like(beta, np.nan)
            _store(result, block.columns, index, factors[index], (beta, unknown, unknown, r_squared), observations)
    for index, factor in enumerate(factors):
        if factor.method in {Method.OLS_MARKET, Method.OLS_IR, Method.SPREAD}:
            estimates, observations = _ols(funds.regressor(factor), block, factor.window or 0)
            _store(result, block.columns, index, factor, estimates, observations)


def _ols(regressor: Floats, block: _Block, window: int) -> tuple[tuple[Floats, ...], Floats]:
    """Regress y on one x with an intercept; classical standard errors with n - 2 degrees of freedom.

    Returns (beta, std_error, t_stat, r_squared) and the number of observations, each of shape (S, n).
    """
    known = np.isfinite(regressor)
    pairs = block.pairs(known)
    x = np.where(pairs, np.where(known, regressor, 0.0)[:, None], 0.0)
    n = block.window_sums(pairs.astype(np.float64), window)
    sum_x, sum_xx = block.window_sums(x, window), block.window_sums(x * x, window)
    sum_xy = block.window_sums(x * block.values, window)
    sum_y, sum_yy = block.own_sums(window, known)
    with np.errstate(divide="ignore", invalid="ignore"):
        sxx, sxy = _centred(sum_xx, sum_x, n), sum_xy - sum_x * sum_y / n
        syy = _centred(sum_yy, sum_y, n)
        beta = sxy / sxx
        residual = np.maximum(syy - beta * sxy, 0.0)
        std_error = np.sqrt(residual / (n - 2.0) / sxx)
        r_squared = 1.0 - residual / syy
        t_stat = beta / std_error
    estimates = (beta, std_error, t_stat, r_squared)
    return tuple(np.where(np.isfinite(value), value, np.nan) for value in estimates), np.broadcast_to(n, beta.shape)


def _centred(squares: Floats, total: Floats, n: Floats) -> Floats:
    """Return the centred sum of squares from the raw one, the sum and the count; NaN where the series does not vary."""
    centred = squares - total * total / n
    return np.where(centred > RELATIVE_ZERO * squares, centred, np.nan)


def _ridge(panel: Floats, block: _Block, window: int) -> tuple[list[Floats], Floats, Floats]:
    """Regress y on all columns of `panel` (T, K) together, with a penalty on the standardised coefficients.

    Returns the K coefficients in raw units, the joint r_squared and the number of observations, each (S, n).
    """
    known = np.asarray(np.isfinite(panel).all(axis=1))
    pairs = block.pairs(known)
    xs = [np.where(pairs, np.where(known, column, 0.0)[:, None], 0.0) for column in panel.T]
    n = block.window_sums(pairs.astype(np.float64), window)
    sums = [block.window_sums(x, window) for x in xs]
    sum_y, sum_yy = block.own_sums(window, known)
    count = len(xs)
    with np.errstate(divide="ignore", invalid="ignore"):
        syy = _centred(sum_yy, sum_y, n)
        sxy = [
            block.window_sums(x * block.values, window) - total * sum_y / n for x, total in zip(xs, sums, strict=True)
        ]
        products = {(i, j): block.window_sums(xs[i] * xs[j], window) for i in range(count) for j in range(i + 1)}
        sxx = {(i, j): total - sums[i] * sums[j] / n for (i, j), total in products.items()}
        scales = [np.sqrt(_centred(products[i, i], sums[i], n) / n) for i in range(count)]
        matrix = {(i, j): value / (scales[i] * scales[j]) for (i, j), value in sxx.items()}
        for i in range(count):
            matrix[i, i] = matrix[i, i] + RIDGE_ALPHA
        standardised = _solve(matrix, [sxy[i] / scales[i] for i in range(count)])
        betas = [value / scale for value, scale in zip(standardised, scales, strict=True)]
        # y'y - 2 b'X'y + b'X'Xb, with (X'X + alpha) b = X'y for the standardised X.
        penalty, explained = np.zeros_like(syy), np.zeros_like(syy)
        for value, cross, scale in zip(standardised, sxy, scales, strict=True):
            penalty, explained = penalty + value * value, explained + value * (cross / scale)
        r_squared = (explained + RIDGE_ALPHA * penalty) / syy
    return betas, r_squared, np.broadcast_to(n, syy.shape)


def _solve(matrix: dict[tuple[int, int], Floats], right: list[Floats]) -> list[Floats]:
    """Solve many small symmetric positive definite systems at once by Cholesky's method.

    The elements are computed one by one, each for all systems, and not by LAPACK: a library may order its sums
    differently for arrays of different shapes.
    """
    size = len(right)
    lower: dict[tuple[int, int], Floats] = {}
    for j in range(size):
        for i in range(j, size):
            value = matrix[i, j]
            for k in range(j):
                value = value - lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(value) if i == j else value / lower[j, j]
    forward: list[Floats] = []
    for i in range(size):
        value = right[i]
        for k in range(i):
            value = value - lower[i, k] * forward[k]
        forward.append(value / lower[i, i])
    solution = forward.copy()
    for i in reversed(range(size)):
        value = forward[i]
        for k in range(i + 1, size):
            value = value - lower[k, i] * solution[k]
        solution[i] = value / lower[i, i]
    return solution


def _store(
    result: FactorEstimates,
    block: Ints,
    index: int,
    factor: FactorDefinition,
    estimates: tuple[Floats, ...],
    observations: Floats,
) -> None:
    """Store one factor's estimates in `result`, except those with too few observations."""
    window, minimum = factor.window or 0, factor.minimum or 0
    beta = estimates[0]
    enough = (observations >= minimum) & np.isfinite(beta)
    full = enough & (observations >= FULL_HISTORY_SHARE * window)
    targets = (result.beta, result.std_error, result.t_stat, result.r_squared)
    for target, value in zip(targets, estimates, strict=True):
        target[:, block, index] = np.where(enough, value, np.nan)
    result.observations[:, block, index] = observations.astype(np.int64)
    result.quality[:, block, index] = np.where(
        full, Quality.FULL_HISTORY, np.where(enough, Quality.LIMITED_HISTORY, Quality.INSUFFICIENT_HISTORY)
    )


def _fill_provider(factors: Sequence[FactorDefinition], provider_beta: Floats, result: FactorEstimates) -> None:
    """Store the provider's own betas; their number of observations is unknown."""
    for index, factor in enumerate(factors):
        if factor.method is Method.PROVIDER:
            result.beta[:, :, index] = provider_beta
            result.observations[:, :, index] = -1
            result.quality[:, :, index] = np.where(
                np.isfinite(provider_beta), Quality.FULL_HISTORY, Quality.INSUFFICIENT_HISTORY
            )


def _mark_proxies(factors: Sequence[FactorDefinition], symbols: Sequence[str], result: FactorEstimates) -> None:
    """Set the betas of the regressor funds by definition: 1 on a fund's own factor, 0 on the other styles."""
    column = {name: index for index, name in enumerate(symbols)}
    ridge = [index for index, factor in enumerate(factors) if factor.method is Method.RIDGE]
    for index, factor in enumerate(factors):
        if len(factor.regressors) != 1 or factor.regressors[0] not in column:
            continue
        own = column[factor.regressors[0]]
        for target in ridge if factor.method is Method.RIDGE else [index]:
            result.beta[:, own, target] = 1.0 if target == index else 0.0
            result.std_error[:, own, target] = np.nan if factor.method is Method.RIDGE else 0.0
            result.t_stat[:, own, target] = np.nan
            result.r_squared[:, own, target] = 1.0
            result.quality[:, own, target] = Quality.PROXY

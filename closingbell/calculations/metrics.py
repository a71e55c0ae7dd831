"""Returns, risk and size of every symbol and session at once.

As with the factors, every sum runs over the rows of one window in one order: a symbol's numbers do not depend, to the
last bit, on which other symbols and sessions are computed with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Dates, Floats, Ints
from closingbell.calculations.factors import simple_returns

YEAR = 252
QUARTER = 63
MONTH = 21
"""Sessions."""

REQUIRED_SHARE = 2 / 3
"""Share of a window's values that must be known for a volatility or an average."""


@dataclass(frozen=True)
class SymbolMetrics:
    """Metrics of N symbols on S sessions, each array of shape (S, N), NaN where unknown.

    Parameters
    ----------
    price : ndarray of float64
        Close as traded.
    return_1d, return_1m, return_3m, return_1y : ndarray of float64
        Total returns over 1, 21, 63 and 252 sessions, as fractions.
    return_mtd, return_ytd : ndarray of float64
        Total returns since the last session of the previous month and year.
    volatility_21, volatility_63 : ndarray of float64
        Sample standard deviation of daily returns, annualised with the square root of 252.
    high_52w, low_52w : ndarray of float64
        Highest and lowest adjusted close of the last 252 sessions, restated to the session's own price.
    average_dollar_volume_21 : ndarray of float64
        Mean of close x volume.
    max_drawdown_252 : ndarray of float64
        Worst fall from a previous high within the last 252 sessions, zero or negative.
    observations : ndarray of int64
        Daily returns known among the last 252.
    """

    price: Floats
    return_1d: Floats
    return_mtd: Floats
    return_ytd: Floats
    return_1m: Floats
    return_3m: Floats
    return_1y: Floats
    volatility_21: Floats
    volatility_63: Floats
    high_52w: Floats
    low_52w: Floats
    average_dollar_volume_21: Floats
    max_drawdown_252: Floats
    observations: Ints


def symbol_metrics(sessions: Dates, adj_close: Floats, close: Floats, volume: Floats, wanted: int) -> SymbolMetrics:
    """Compute the metrics for the last `wanted` sessions.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
        Adjacent sessions, ascending; a window that reaches back before the first one meets unknown values.
    adj_close, close, volume : ndarray of float64, shape (T, N)
        NaN where unknown.
    wanted : int
        How many sessions S at the end to compute.

    Returns
    -------
    SymbolMetrics
        Arrays of shape (S, N).
    """
    lead = max(0, YEAR + 1 + wanted - len(sessions))
    history = _Windows(adj_close, lead, wanted)
    returns = _Windows(simple_returns(adj_close), lead, wanted)
    now = history.back(0)
    ends = np.arange(len(sessions) - wanted, len(sessions))

    def total_return(base: Floats) -> Floats:
        return now / base - 1.0

    with np.errstate(divide="ignore", invalid="ignore"):
        high, low, drawdown = history.extremes(YEAR)
        scale = close[ends] / now
        return SymbolMetrics(
            price=close[ends],
            return_1d=total_return(history.back(1)),
            return_mtd=total_return(_rows(adj_close, _last_of_previous(sessions, "M")[ends])),
            return_ytd=total_return(_rows(adj_close, _last_of_previous(sessions, "Y")[ends])),
            return_1m=total_return(history.back(MONTH)),
            return_3m=total_return(history.back(QUARTER)),
            return_1y=total_return(history.back(YEAR)),
            volatility_21=returns.deviation(MONTH) * np.sqrt(YEAR),
            volatility_63=returns.deviation(QUARTER) * np.sqrt(YEAR),
            high_52w=high * scale,
            low_52w=low * scale,
            average_dollar_volume_21=_Windows(close * volume, lead, wanted).mean(MONTH),
            max_drawdown_252=drawdown,
            observations=returns.count(YEAR).astype(np.int64),
        )


def _last_of_previous(sessions: Dates, unit: str) -> Ints:
    """Return, per session, the row of the last session of the month or year before; -1 where there is none."""
    periods = sessions.astype(f"datetime64[{unit}]")
    return np.searchsorted(periods, periods, side="left").astype(np.int64) - 1


def _rows(values: Floats, rows: Ints) -> Floats:
    """Take rows of `values` (T, N), unknown where the row is -1."""
    taken: Floats = np.where(rows[:, None] < 0, np.nan, values[rows])
    return taken


class _Windows:
    """The windows that end at each of the last `wanted` rows of a (T, N) array, `lead` unknown rows before it."""

    def __init__(self, values: Floats, lead: int, wanted: int) -> None:
        self._values = np.concatenate([np.full((lead, values.shape[1]), np.nan), values])
        self._wanted = wanted

    def back(self, sessions: int) -> Floats:
        """Return the values so many rows before each end, shape (S, N)."""
        stop = len(self._values) - sessions
        return self._values[stop - self._wanted : stop]

    def count(self, window: int) -> Floats:
        """Return how many values of each window are known, shape (S, N)."""
        total = np.zeros((self._wanted, self._values.shape[1]))
        for age in reversed(range(window)):
            total += np.isfinite(self.back(age))
        return total

    def mean(self, window: int) -> Floats:
        """Return the mean of the known values, NaN where fewer than `REQUIRED_SHARE` are."""
        total = np.zeros((self._wanted, self._values.shape[1]))
        for age in reversed(range(window)):
            total += np.nan_to_num(self.back(age))
        known = self.count(window)
        return np.where(known >= REQUIRED_SHARE * window, total / known, np.nan)

    def deviation(self, window: int) -> Floats:
        """Return the sample standard deviation of the known values, NaN where fewer than `REQUIRED_SHARE` are."""
        mean = self.mean(window)
        total = np.zeros_like(mean)
        for age in reversed(range(window)):
            total += np.nan_to_num(self.back(age) - mean) ** 2
        return np.where(np.isfinite(mean), np.sqrt(total / (self.count(window) - 1)), np.nan)

    def extremes(self, window: int) -> tuple[Floats, Floats, Floats]:
        """Return the highest and the lowest value of each window and its worst fall from an earlier high."""
        shape = (self._wanted, self._values.shape[1])
        high, low, drawdown = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
        for age in reversed(range(window)):
            value = self.back(age)
            np.fmax(high, value, out=high)
            np.fmin(low, value, out=low)
            np.fmin(drawdown, value / high - 1.0, out=drawdown)
        return high, low, drawdown

"""Returns, risk and size of all symbols and sessions at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Dates, Floats, Ints
from closingbell.calculations.factors import simple_returns
from closingbell.calculations.windows import last_rows, window_rows, window_sums

YEAR = 252
QUARTER = 63
MONTH = 21
"""Lengths in sessions."""

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


@np.errstate(divide="ignore", invalid="ignore")
def symbol_metrics(sessions: Dates, adj_close: Floats, close: Floats, volume: Floats, count: int) -> SymbolMetrics:
    """Compute the metrics of the last `count` sessions.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
        Adjacent sessions, ascending. Prices before the first one count as unknown.
    adj_close, close, volume : ndarray of float64, shape (T, N)
        NaN where unknown.
    count : int
        Number S of sessions to compute.

    Returns
    -------
    SymbolMetrics
        Arrays of shape (S, N).
    """
    history, returns = _Series(adj_close, count), _Series(simple_returns(adj_close), count)
    now, price = history.before(0), close[len(close) - count :].copy()
    high, low, drawdown = history.extremes(YEAR)
    scale = price / now
    return SymbolMetrics(
        price=price,
        return_1d=now / history.before(1) - 1.0,
        return_mtd=now / _previous_close(sessions, adj_close, "M", count) - 1.0,
        return_ytd=now / _previous_close(sessions, adj_close, "Y", count) - 1.0,
        return_1m=now / history.before(MONTH) - 1.0,
        return_3m=now / history.before(QUARTER) - 1.0,
        return_1y=now / history.before(YEAR) - 1.0,
        volatility_21=returns.deviation(MONTH) * np.sqrt(YEAR),
        volatility_63=returns.deviation(QUARTER) * np.sqrt(YEAR),
        high_52w=high * scale,
        low_52w=low * scale,
        average_dollar_volume_21=_Series(close * volume, count).mean(MONTH),
        max_drawdown_252=drawdown,
        observations=returns.known(YEAR).astype(np.int64),
    )


def _previous_close(sessions: Dates, adj_close: Floats, unit: str, count: int) -> Floats:
    """Return the last close of the month or year before each of the last `count` sessions, NaN where there is none."""
    periods = sessions.astype(f"datetime64[{unit}]")
    rows = np.searchsorted(periods, periods[len(periods) - count :], side="left") - 1
    previous: Floats = np.where(rows[:, None] < 0, np.nan, adj_close[rows])
    return previous


class _Series:
    """N series and their windows that end at each of the last S sessions; shapes (S, N)."""

    def __init__(self, values: Floats, count: int) -> None:
        self._values = last_rows(values, YEAR + count)
        self._count = count

    def before(self, sessions: int) -> Floats:
        """Return the values that lie `sessions` sessions before each of the last S."""
        stop = len(self._values) - sessions
        return self._values[stop - self._count : stop]

    def known(self, window: int) -> Floats:
        """Return how many values of each window are known."""
        return window_sums(np.isfinite(self._values).astype(np.float64), window, self._count)

    def mean(self, window: int) -> Floats:
        """Return the mean of the known values, NaN where fewer than `REQUIRED_SHARE` are."""
        known = self.known(window)
        total = window_sums(np.nan_to_num(self._values), window, self._count)
        return np.where(known >= REQUIRED_SHARE * window, total / known, np.nan)

    def deviation(self, window: int) -> Floats:
        """Return the sample standard deviation of the known values, NaN where fewer than `REQUIRED_SHARE` are."""
        mean = self.mean(window)
        total = np.zeros_like(mean)
        for values in window_rows(self._values, window, self._count):
            total += np.nan_to_num(values - mean) ** 2
        return np.where(np.isfinite(mean), np.sqrt(total / (self.known(window) - 1)), np.nan)

    def extremes(self, window: int) -> tuple[Floats, Floats, Floats]:
        """Return the highest and the lowest value of each window and its worst fall from an earlier high."""
        shape = (self._count, self._values.shape[1])
        high, low, drawdown = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
        for values in window_rows(self._values, window, self._count):
            np.fmax(high, values, out=high)
            np.fmin(low, values, out=low)
            np.fmin(drawdown, values / high - 1.0, out=drawdown)
        return high, low, drawdown

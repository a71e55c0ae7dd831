"""Daily bars from closes: synthetic opens, highs, lows and volumes around them."""

from __future__ import annotations

from datetime import date

import numpy as np

from closingbell.market.bars import Bars
from closingbell.providers.base import Answer, Outcome
from closingbell.providers.demo.series import Series, generator


def bars_around(name: str, series: Series, *, decimals: int, tick: float, usual_volume: float) -> Bars:
    """Generate opens, highs, lows and volumes that fit the closes of an entire history.

    Parameters
    ----------
    name : str
        Seeds the random numbers.
    series : Series
    decimals : int
        Of opens, highs and lows.
    tick : float
        The lowest price, money per share.
    usual_volume : float
        Median volume, shares or contracts.
    """
    rng, close = generator(name, "bars"), series.close
    # One row of draws per session: a session's numbers do not depend on how many sessions follow it.
    gap, above, below, trades = rng.standard_normal((len(close), 4)).T
    before = np.concatenate((close[:1], close[:-1]))
    opened = np.maximum(np.round(before * np.exp(0.002 * gap), decimals), tick)
    high = np.maximum(opened, close) * (1.0 + 0.004 * np.abs(above))
    low = np.minimum(opened, close) * (1.0 - 0.004 * np.abs(below))
    return Bars(
        sessions=series.sessions,
        open=opened,
        high=np.round(high, decimals),
        low=np.maximum(np.round(low, decimals), tick),
        close=close,
        volume=np.round(usual_volume * np.exp(0.35 * trades)),
        source=series.source,
    )


def within(bars: Bars, start: date, end: date) -> Answer[Bars]:
    """Return the bars of a range, both ends included; the arrays are copies, so that callers may write into them."""
    first, after = np.searchsorted(bars.sessions, [np.datetime64(start, "D"), np.datetime64(end, "D") + 1])
    if first >= after:
        return Answer(Outcome.EMPTY, reason=f"no bars between {start} and {end}")
    rows = slice(first, after)
    return Answer.ok(
        Bars(
            sessions=bars.sessions[rows].copy(),
            open=bars.open[rows].copy(),
            high=bars.high[rows].copy(),
            low=bars.low[rows].copy(),
            close=bars.close[rows].copy(),
            volume=bars.volume[rows].copy(),
            source=bars.source,
        )
    )

"""Closes that stand in for missing ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Floats
from closingbell.calculations.valuation.clock import Clock
from closingbell.calculations.valuation.inputs import Actions, Market
from closingbell.calculations.valuation.tables import ordered_by

STALE_SESSIONS = 5
"""A close at most this many sessions old may stand in for a missing one."""


@dataclass(frozen=True)
class Prices:
    """Closes with short gaps bridged, and corporate actions ordered by column, then ex-date.

    `close` and `stale` are (N + 1, width). The last row has no price; column -1 refers to it.
    """

    close: Floats
    stale: Bools
    splits: Actions
    dividends: Actions


def bridge_gaps(market: Market, clock: Clock) -> Prices:
    """Carry closes over gaps of up to `STALE_SESSIONS` sessions, restated for splits that fall in between."""
    first = len(market.sessions) - len(clock.dates)
    lead = min(first, STALE_SESSIONS)
    raw = market.close[first - lead : first + clock.width]
    length, columns = raw.shape
    close = np.full((columns + 1, length), np.nan)
    close[:-1] = raw.T
    known = ~np.isnan(close)
    # How many sessions ago a carried close was traded; 0 for a close of the session itself.
    age = np.zeros(close.shape, dtype=np.int8)
    for back in range(1, min(STALE_SESSIONS, length - 1) + 1):
        usable = known[:, :-back] & ~known[:, back:] & (age[:, back:] == 0)
        np.copyto(close[:, back:], close[:, :-back], where=usable)
        age[:, back:][usable] = back
    splits = ordered_by(market.splits, market.splits.column, market.splits.ex_date)
    ex = np.searchsorted(market.sessions, splits.ex_date) - (first - lead)
    # `since` sessions after an ex-date, a close that was carried over more sessions is from before the split.
    for since in range(STALE_SESSIONS):
        inside = np.flatnonzero((ex + since >= 0) & (ex + since < length))
        crossed = inside[age[splits.column[inside], ex[inside] + since] > since]
        np.divide.at(close, (splits.column[crossed], ex[crossed] + since), splits.value[crossed])
    dividends = ordered_by(market.dividends, market.dividends.column, market.dividends.ex_date)
    return Prices(close=close[:, lead:], stale=age[:, lead:] > 0, splits=splits, dividends=dividends)

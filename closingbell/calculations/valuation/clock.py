"""The sessions of one valuation, numbered from the first one that matters to any portfolio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Dates, Ints
from closingbell.calculations.valuation.inputs import Market, Portfolios


@dataclass(frozen=True)
class Clock:
    """The numbering of the sessions.

    Attributes
    ----------
    dates : datetime64[D] (T,)
        All known sessions from number 0 on.
    width : int
        How many of them are computed; an event at `width` or later has not happened yet.
    requested : int64 (S,)
        Numbers of the sessions to report.
    """

    dates: Dates
    width: int
    requested: Ints

    def on_or_after(self, days: Dates) -> Ints:
        """Return the number of the first session on or after each day; at least `width` if later or NaT."""
        return np.searchsorted(self.dates, days).astype(np.int64)

    def on_or_before(self, days: Dates) -> Ints:
        """Return the number of the last session on or before each day; beyond all if not known yet or NaT."""
        unknown = np.isnat(days) | (days > self.dates[-1])
        number = np.searchsorted(self.dates, days, side="right").astype(np.int64) - 1
        return np.where(unknown, len(self.dates), number)


def set_clock(portfolios: Portfolios, market: Market, sessions: Dates) -> tuple[Clock, Ints]:
    """Return the clock for the requested sessions, and the number of each portfolio's inception session (K,)."""
    requested = np.searchsorted(market.sessions, sessions).astype(np.int64)
    start = np.searchsorted(market.sessions, portfolios.inception).astype(np.int64)
    stop = int(requested.max(initial=0)) + 1
    first = int(min(requested.min(initial=stop - 1), start.min(initial=stop - 1)))
    clock = Clock(dates=market.sessions[first:], width=stop - first, requested=requested - first)
    return clock, start - first

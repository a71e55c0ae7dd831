"""When each lot enters its portfolio, leaves it or settles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Floats, Ints
from closingbell.calculations.valuation.chunks import Chunk
from closingbell.calculations.valuation.clock import Clock
from closingbell.calculations.valuation.prices import Prices


@dataclass(frozen=True)
class Spans:
    """The life of p lots, in session numbers.

    A lot counts on sessions ``max(entry, start) <= t < end``. An option that should have settled on `settle` but
    whose underlying has no price there stays counted, without a price.

    Attributes
    ----------
    start : int64 (p,)
        Inception session of the lot's portfolio.
    entry, exit : int64 (p,)
        Sessions of the trades.
    settle : int64 (p,)
        Session on which an option expires.
    end : int64 (p,)
        First session on which the lot does not count any more; 0 if it is not `alive`.
    alive : bool (p,)
        The lot has not left before its portfolio starts.
    settled : bool (p,)
        The lot is an option that ends on `settle`; all others end on `exit`.
    payoff : float64 (p,)
        Dollars per unit that an option pays when it settles; NaN where none does.
    """

    start: Ints
    entry: Ints
    exit: Ints
    settle: Ints
    end: Ints
    alive: Bools
    settled: Bools
    payoff: Floats


def find_spans(chunk: Chunk, prices: Prices, clock: Clock) -> Spans:
    """Find the sessions on which each lot of a chunk enters, leaves or settles."""
    lots, start = chunk.lots, chunk.start[chunk.owner]
    entry, leave = clock.on_or_after(lots.entry), clock.on_or_after(lots.exit)
    settle = np.where(lots.is_option, clock.on_or_before(lots.expiration), len(clock.dates))
    due = np.flatnonzero((settle >= 0) & (settle < np.minimum(leave, clock.width)))
    payoff = np.full(len(entry), np.nan)
    spot, strike = prices.close[lots.underlying[due], settle[due]], lots.strike[due]
    payoff[due] = np.maximum(np.where(lots.is_call[due], spot - strike, strike - spot), 0.0)
    gone = np.minimum(leave, settle)
    alive = (start < clock.width) & (gone > start) & (gone >= entry)
    settled = alive & ~np.isnan(payoff)
    return Spans(
        start=start,
        entry=entry,
        exit=leave,
        settle=settle,
        end=np.where(alive, np.where(settled, settle, leave), 0),
        alive=alive,
        settled=settled,
        payoff=payoff,
    )

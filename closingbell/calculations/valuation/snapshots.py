"""What a valuation returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Snapshots:
    """K portfolios and their P lots on S sessions.

    Before a portfolio starts, its counts and money are 0 and its ratios NaN.

    Attributes
    ----------
    started : bool (K, S)
        Whether the session is on or after the inception session.
    nav, cash, long_value, short_value, gross, net : int64 (K, S)
        Cents; short_value <= 0 for ordinary prices; net = long_value + short_value.
    daily_pnl, flow, realized_pnl, unrealized_pnl : int64 (K, S)
        Cents; realized is cumulative since inception, the others are of the session.
    leverage : float64 (K, S)
        gross / nav; NaN unless nav > 0.
    daily_return, cumulative_return : float64 (K, S)
        Fractions; the cumulative one chains the daily ones and is NaN from the first NaN on.
    hhi, effective_positions : float64 (K, S)
        Herfindahl-Hirschman index of the holdings' gross weights times 10,000, and 10,000 / hhi.
    top3_weight, top10_weight : float64 (K, S)
        Fraction of gross in the largest three and ten holdings.
    coverage : float64 (K, S)
        Priced share of the positions that need a market price; 1 when none does.
    positions, long_count, short_count : int64 (K, S)
        Counted lots: all, with positive and with negative quantity.
    value : int64 (P, S)
        Cents per lot; 0 unless `priced`.
    counted : bool (P, S)
        The lot is a position of its portfolio on the session.
    priced : bool (P, S)
        The lot is counted and has a price; ``counted & ~priced`` are the missing ones.
    stale : bool (P, S)
        The lot is priced at the close of an earlier session.
    """

    started: Bools
    nav: Ints
    cash: Ints
    long_value: Ints
    short_value: Ints
    gross: Ints
    net: Ints
    daily_pnl: Ints
    flow: Ints
    realized_pnl: Ints
    unrealized_pnl: Ints
    leverage: Floats
    daily_return: Floats
    cumulative_return: Floats
    hhi: Floats
    effective_positions: Floats
    top3_weight: Floats
    top10_weight: Floats
    coverage: Floats
    positions: Ints
    long_count: Ints
    short_count: Ints
    value: Ints
    counted: Bools
    priced: Bools
    stale: Bools

    @classmethod
    def empty(cls, portfolios: int, sessions: int, lots: int) -> Snapshots:
        """Return snapshots of portfolios that have not started, to be filled in."""
        by_portfolio, by_lot = (portfolios, sessions), (lots, sessions)
        return cls(
            started=np.zeros(by_portfolio, dtype=np.bool_),
            nav=_zeros(by_portfolio),
            cash=_zeros(by_portfolio),
            long_value=_zeros(by_portfolio),
            short_value=_zeros(by_portfolio),
            gross=_zeros(by_portfolio),
            net=_zeros(by_portfolio),
            daily_pnl=_zeros(by_portfolio),
            flow=_zeros(by_portfolio),
            realized_pnl=_zeros(by_portfolio),
            unrealized_pnl=_zeros(by_portfolio),
            leverage=_unknown(by_portfolio),
            daily_return=_unknown(by_portfolio),
            cumulative_return=_unknown(by_portfolio),
            hhi=_unknown(by_portfolio),
            effective_positions=_unknown(by_portfolio),
            top3_weight=_unknown(by_portfolio),
            top10_weight=_unknown(by_portfolio),
            coverage=_unknown(by_portfolio),
            positions=_zeros(by_portfolio),
            long_count=_zeros(by_portfolio),
            short_count=_zeros(by_portfolio),
            value=_zeros(by_lot),
            counted=np.zeros(by_lot, dtype=np.bool_),
            priced=np.zeros(by_lot, dtype=np.bool_),
            stale=np.zeros(by_lot, dtype=np.bool_),
        )


def _zeros(shape: tuple[int, int]) -> Ints:
    return np.zeros(shape, dtype=np.int64)


def _unknown(shape: tuple[int, int]) -> Floats:
    return np.full(shape, np.nan)

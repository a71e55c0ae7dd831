"""Value portfolios: the steps of a valuation in order."""

from __future__ import annotations

from closingbell.arrays import Dates
from closingbell.calculations.valuation.books import keep_books
from closingbell.calculations.valuation.chunks import ledger_chunks
from closingbell.calculations.valuation.clock import set_clock
from closingbell.calculations.valuation.inputs import Flows, Lots, Market, Portfolios, Valuations, check_inputs
from closingbell.calculations.valuation.positions import derive_positions
from closingbell.calculations.valuation.prices import bridge_gaps
from closingbell.calculations.valuation.report import (
    report_concentration,
    report_path,
    report_positions,
    report_ratios,
)
from closingbell.calculations.valuation.snapshots import Snapshots


def value_portfolios(
    lots: Lots, portfolios: Portfolios, flows: Flows, valuations: Valuations, market: Market, *, sessions: Dates
) -> Snapshots:
    """Value portfolios on the requested sessions.

    Parameters
    ----------
    lots, portfolios, flows, valuations : Lots, Portfolios, Flows, Valuations
        The ledger: P positions, K portfolios, money in and out, and manual prices of private lots.
    market : Market
        Prices and corporate actions.
    sessions : datetime64[D] (S,)
        Sessions to report, each one of ``market.sessions``, in any order.

    Returns
    -------
    Snapshots
        One per portfolio and session, with the lots' values.

    Raises
    ------
    ValueError
        If lots are not ordered by portfolio or lack a price that they need, or if a session or price column does
        not exist.
    """
    check_inputs(lots, market, sessions)
    clock, start = set_clock(portfolios, market, sessions)
    prices = bridge_gaps(market, clock)
    out = Snapshots.empty(len(start), len(sessions), len(lots.portfolio))
    for chunk in ledger_chunks(lots, portfolios, flows, valuations, start, clock.width):
        positions = derive_positions(chunk, prices, clock)
        books = keep_books(chunk, positions, prices.dividends, clock)
        report_path(out, chunk, positions, books, clock)
        report_positions(out, chunk, positions, prices, clock)
        report_concentration(out, chunk)
    report_ratios(out)
    return out

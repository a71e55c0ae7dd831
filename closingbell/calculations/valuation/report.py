"""Write the results of a chunk into the snapshots of the requested sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from closingbell.arrays import Ints
from closingbell.calculations.ratios import ratio
from closingbell.calculations.valuation.books import Books
from closingbell.calculations.valuation.chunks import Chunk
from closingbell.calculations.valuation.clock import Clock
from closingbell.calculations.valuation.concentration import rank_holdings
from closingbell.calculations.valuation.positions import Positions
from closingbell.calculations.valuation.prices import Prices
from closingbell.calculations.valuation.snapshots import Snapshots
from closingbell.calculations.valuation.tables import sum_by


def report_path(out: Snapshots, chunk: Chunk, positions: Positions, books: Books, clock: Clock) -> None:
    """Write what depends on the entire path: balances, profit and returns."""
    nav = books.cash + sum_by(positions.value, chunk.owner, len(chunk.start))
    session, first = np.arange(clock.width), chunk.start[:, None]
    daily_pnl = np.diff(nav, axis=1, prepend=0) - books.flow
    daily_pnl[session <= first] = 0
    before = np.zeros_like(nav)
    before[:, 1:] = nav[:, :-1]
    daily_return = ratio(daily_pnl, before)
    daily_return[session == first] = 0.0
    growth = np.cumprod(np.where(session <= first, 1.0, 1.0 + daily_return), axis=1)
    cumulative = np.where(session < first, np.nan, growth - 1.0)
    at, target = clock.requested, chunk.portfolios
    out.started[target] = (session >= first)[:, at]
    out.nav[target] = nav[:, at]
    out.cash[target] = books.cash[:, at]
    out.flow[target] = books.flow[:, at]
    out.realized_pnl[target] = books.realized[:, at]
    out.daily_pnl[target] = daily_pnl[:, at]
    out.daily_return[target] = daily_return[:, at]
    out.cumulative_return[target] = cumulative[:, at]


def report_positions(out: Snapshots, chunk: Chunk, positions: Positions, prices: Prices, clock: Clock) -> None:
    """Write the lots on the requested sessions, and what is summed or counted over them."""
    lots, rows, target, at = chunk.lots, chunk.rows, chunk.portfolios, clock.requested
    value, counted, held = positions.value[:, at], positions.counted[:, at], positions.held[:, at]
    marketable = ~lots.is_private[:, None]
    out.value[rows], out.counted[rows], out.priced[rows] = value, counted, held
    out.stale[rows] = held & prices.stale[lots.traded_column[:, None], at] & marketable

    def total(cells: NDArray[Any]) -> Ints:
        return sum_by(cells.astype(np.int64), chunk.owner, len(chunk.start))

    is_long, is_short = lots.quantity[:, None] > 0, lots.quantity[:, None] < 0
    out.long_value[target] = total(value * is_long)
    out.short_value[target] = total(value * is_short)
    out.unrealized_pnl[target] = total(value - held * lots.amount(lots.entry_price)[:, None])
    out.positions[target] = total(counted)
    out.long_count[target] = total(counted & is_long)
    out.short_count[target] = total(counted & is_short)
    needed = total(counted & marketable)
    out.coverage[target] = np.where(needed == 0, 1.0, ratio(total(held & marketable), needed))


def report_concentration(out: Snapshots, chunk: Chunk) -> None:
    """Write gross value and how it is spread over holdings; the lots' values must have been written."""
    owner, target = chunk.owner, chunk.portfolios
    magnitude = np.abs(out.value[chunk.rows])
    gross = sum_by(magnitude, owner, len(chunk.start))
    out.gross[target] = gross
    codes, code = np.unique(chunk.lots.holding, return_inverse=True)
    keys, key = np.unique(owner * len(codes) + code, return_inverse=True)
    top3, top10, squares = rank_holdings(sum_by(magnitude, key, len(keys)), keys // max(len(codes), 1), gross)
    out.top3_weight[target] = ratio(top3, gross)
    out.top10_weight[target] = ratio(top10, gross)
    out.hhi[target] = np.where(gross > 0, squares * 10_000, np.nan)


def report_ratios(out: Snapshots) -> None:
    """Write what follows from other fields, and blank the ratios of portfolios that have not started."""
    np.add(out.long_value, out.short_value, out=out.net)
    out.leverage[:] = ratio(out.gross, out.nav)
    out.effective_positions[:] = 10_000 / out.hhi
    out.coverage[~out.started] = np.nan

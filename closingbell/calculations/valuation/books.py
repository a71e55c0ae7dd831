"""Cash and realized profit of each portfolio: every movement is posted on its session.

A lot that its portfolio holds at the start is booked at its value there. If it has no price there, it is booked on
the first later session that prices it, so that the arrival of a price is not a profit. If it exits before it is ever
priced, it is booked in at cost and out at proceeds on its exit session. An option that settles before it is ever
priced is not booked at all. Later lots are booked at cost on their entry session, priced or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Ints
from closingbell.calculations.money import CENTS, round_cents
from closingbell.calculations.valuation.chunks import Chunk
from closingbell.calculations.valuation.clock import Clock
from closingbell.calculations.valuation.inputs import Actions
from closingbell.calculations.valuation.positions import Positions
from closingbell.calculations.valuation.tables import matching_pairs


@dataclass(frozen=True)
class Books:
    """Money of the k portfolios of a chunk, int64 cents (k, width).

    `cash` and `realized` are balances, `flow` holds the movements of each session.
    """

    cash: Ints
    realized: Ints
    flow: Ints


def keep_books(chunk: Chunk, positions: Positions, dividends: Actions, clock: Clock) -> Books:
    """Post every cash movement of the ledger on its session, then compute the balances."""
    start, flows = chunk.start, chunk.flows
    shape = (len(start), clock.width)
    books = Books(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    _post(books.cash, np.arange(len(start)), start, chunk.equity, start < clock.width)
    day = clock.on_or_after(flows.day)
    _post(books.flow, flows.portfolio, day, flows.amount, day > start[flows.portfolio])
    books.cash[:] += books.flow
    _post_entries(books, chunk, positions)
    _post_exits(books, chunk, positions)
    _post_settlements(books, chunk, positions)
    _post_dividends(books, chunk, positions, dividends, clock)
    np.cumsum(books.cash, axis=1, out=books.cash)
    np.cumsum(books.realized, axis=1, out=books.realized)
    return books


def _post(book: Ints, owner: Ints, session: Ints, cents: Ints, mask: Bools) -> None:
    """Add `cents` to (owner, session) of `book` where `mask` holds and the session is not after the last one."""
    use = mask & (session < book.shape[1])
    np.add.at(book, (owner[use], session[use]), cents[use])


def _post_entries(books: Books, chunk: Chunk, positions: Positions) -> None:
    """Pay for the lots: later ones at cost, those present at the start at their first value."""
    spans, booked, value = positions.spans, positions.booked, positions.value
    later = spans.entry > spans.start
    first_value = value[np.arange(len(booked)), np.minimum(booked, value.shape[1] - 1)]
    price = np.where(later, chunk.lots.amount(chunk.lots.entry_price), first_value)
    _post(books.cash, chunk.owner, booked, -price, spans.alive)


def _post_exits(books: Books, chunk: Chunk, positions: Positions) -> None:
    """Collect the proceeds of lots on their exit, and realize the difference to their cost."""
    lots, owner, spans = chunk.lots, chunk.owner, positions.spans
    cost, proceeds = lots.amount(lots.entry_price), lots.amount(lots.exit_price)
    exits = spans.alive & ~spans.settled
    never_booked = positions.booked >= books.cash.shape[1]
    _post(books.cash, owner, spans.exit, -cost, exits & never_booked)
    _post(books.cash, owner, spans.exit, proceeds, exits)
    _post(books.realized, owner, spans.exit, proceeds - cost, exits)


def _post_settlements(books: Books, chunk: Chunk, positions: Positions) -> None:
    """Collect what options pay when they settle, and realize the difference to their cost."""
    lots, owner, spans = chunk.lots, chunk.owner, positions.spans
    width = books.cash.shape[1]
    settles = spans.settled & (positions.booked < width)
    contracts = positions.quantity[np.arange(len(owner)), np.clip(spans.settle, 0, width - 1)]
    payout = round_cents(contracts * lots.cents_per_price * spans.payoff)
    _post(books.cash, owner, spans.settle, payout, settles)
    _post(books.realized, owner, spans.settle, payout - lots.amount(lots.entry_price), settles)


def _post_dividends(books: Books, chunk: Chunk, positions: Positions, dividends: Actions, clock: Clock) -> None:
    """Pay dividends on the ex-date to the lots that were in the books on the session before; shorts owe them."""
    payers = np.where(chunk.lots.is_option, -1, chunk.lots.traded_column)
    lot, dividend = matching_pairs(payers, dividends.column)
    ex = clock.on_or_after(dividends.ex_date[dividend])
    entitled = (ex < clock.width) & (positions.booked[lot] < ex) & (ex <= positions.spans.end[lot])
    lot, dividend, ex = lot[entitled], dividend[entitled], ex[entitled]
    cents = round_cents(positions.quantity[lot, ex - 1] * CENTS * dividends.value[dividend])
    np.add.at(books.cash, (chunk.owner[lot], ex), cents)

"""Ledgers and markets for the tests of portfolio valuation, and their conversion to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from closingbell.arrays import Dates
from closingbell.calculations.valuation import (
    Actions,
    Flows,
    Lots,
    Market,
    Portfolios,
    Snapshots,
    Valuations,
    value_portfolios,
)

D = Decimal
SESSIONS = [date(2024, 1, 1) + timedelta(days=7 * week + weekday) for week in range(6) for weekday in range(5)]


@dataclass(frozen=True)
class Lot:
    quantity: D = Decimal(100)
    column: int = 0
    kind: str = "public"
    entry: date = SESSIONS[0]
    entry_price: D = Decimal(10)
    exit: date | None = None
    exit_price: D | None = None
    as_of: date = SESSIONS[0]
    expiration: date | None = None
    strike: D | None = None
    is_call: bool = True
    underlying: int = -1
    holding: int = 0
    valuations: tuple[tuple[date, D], ...] = ()

    @property
    def multiplier(self) -> int:
        return 100 if self.kind == "option" else 1


@dataclass(frozen=True)
class Book:
    lots: tuple[Lot, ...] = ()
    equity: D = Decimal(10_000)
    inception: date = SESSIONS[6]
    flows: tuple[tuple[date, D], ...] = ()


@dataclass(frozen=True)
class World:
    close: tuple[tuple[D | None, ...], ...]
    splits: tuple[tuple[int, date, D], ...] = ()
    dividends: tuple[tuple[int, date, D], ...] = ()
    sessions: Sequence[date] = field(default_factory=lambda: SESSIONS)


def days(dates: Sequence[date | None]) -> Dates:
    return np.array(["NaT" if day is None else day.isoformat() for day in dates], dtype="datetime64[D]")


def number(value: D | None) -> float:
    return float("nan") if value is None else float(value)


def actions(rows: Sequence[tuple[int, date, D]]) -> Actions:
    return Actions(
        column=np.array([row[0] for row in rows], dtype=np.int64),
        ex_date=days([row[1] for row in rows]),
        value=np.array([float(row[2]) for row in rows], dtype=np.float64),
    )


def market_of(world: World) -> Market:
    return Market(
        sessions=days(world.sessions),
        close=np.array([[number(price) for price in series] for series in world.close]).T,
        splits=actions(world.splits),
        dividends=actions(world.dividends),
    )


def lots_of(books: Sequence[Book]) -> Lots:
    owned = [(owner, lot) for owner, book in enumerate(books) for lot in book.lots]
    lots = [lot for _, lot in owned]
    return Lots(
        portfolio=np.array([owner for owner, _ in owned], dtype=np.int64),
        column=np.array([lot.column for lot in lots], dtype=np.int64),
        holding=np.array([lot.holding for lot in lots], dtype=np.int64),
        is_private=np.array([lot.kind == "private" for lot in lots], dtype=np.bool_),
        is_option=np.array([lot.kind == "option" for lot in lots], dtype=np.bool_),
        quantity=np.array([float(lot.quantity) for lot in lots], dtype=np.float64),
        multiplier=np.array([lot.multiplier for lot in lots], dtype=np.float64),
        entry_price=np.array([float(lot.entry_price) for lot in lots], dtype=np.float64),
        exit_price=np.array([number(lot.exit_price) for lot in lots], dtype=np.float64),
        entry=days([lot.entry for lot in lots]),
        exit=days([lot.exit for lot in lots]),
        as_of=days([lot.as_of for lot in lots]),
        expiration=days([lot.expiration for lot in lots]),
        strike=np.array([number(lot.strike) for lot in lots], dtype=np.float64),
        is_call=np.array([lot.is_call for lot in lots], dtype=np.bool_),
        underlying=np.array([lot.underlying for lot in lots], dtype=np.int64),
    )


def run(world: World, *books: Book, sessions: Sequence[date] | None = None) -> Snapshots:
    flows = [(owner, *flow) for owner, book in enumerate(books) for flow in book.flows]
    lots = [lot for book in books for lot in book.lots]
    manual = [(row, *mark) for row, lot in enumerate(lots) for mark in lot.valuations]
    return value_portfolios(
        lots_of(books),
        Portfolios(
            equity=np.array([int(book.equity * 100) for book in books], dtype=np.int64),
            inception=days([book.inception for book in books]),
        ),
        Flows(
            portfolio=np.array([owner for owner, _, _ in flows], dtype=np.int64),
            day=days([day for _, day, _ in flows]),
            amount=np.array([int(amount * 100) for _, _, amount in flows], dtype=np.int64),
        ),
        Valuations(
            lot=np.array([row for row, _, _ in manual], dtype=np.int64),
            day=days([day for _, day, _ in manual]),
            price=np.array([float(price) for _, _, price in manual], dtype=np.float64),
        ),
        market_of(world),
        sessions=days(world.sessions if sessions is None else sessions),
    )


def flat(price: float | str = 10, **changes: float | str | None) -> tuple[D | None, ...]:
    """Return a constant series with other prices on some sessions: `t7` is the price on session 7."""
    prices: list[D | None] = [D(str(price))] * len(SESSIONS)
    for name, value in changes.items():
        prices[int(name[1:])] = None if value is None else D(str(value))
    return tuple(prices)


def gap(first: int, last: int) -> dict[str, None]:
    return {f"t{t}": None for t in range(first, last + 1)}


def dollars(values: Any) -> list[float]:
    return [int(value) / 100 for value in np.ravel(values)]

"""Users' portfolios: the ledgers that snapshots are derived from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from closingbell.arrays import Bools, Dates, Floats, Ints
from closingbell.errors import ClosingBellError
from closingbell.ledger.entries import PRIVATE, NewPortfolio, NewPosition
from closingbell.repositories import locks, universe
from closingbell.repositories.copying import array_cursor
from closingbell.repositories.database import driver, take_lock
from closingbell.repositories.tables import EquityChange, Portfolio, Position, PositionValuation

NEVER = -(2**31) + 1
"""Stands for a missing date on the wire."""


@dataclass(frozen=True)
class Ledger:
    """The ledgers of K portfolios with P positions, ordered by portfolio and position, as arrays.

    Parameters
    ----------
    portfolio_id, equity_cents : ndarray of int64, shape (K,)
    inception : ndarray of datetime64[D], shape (K,)
    position_id, symbol_id, underlying_id : ndarray of int64, shape (P,)
        Keys; 0 where there is none.
    portfolio : ndarray of int64, shape (P,)
        The position's portfolio as an index into the portfolios.
    symbol : list of str, length P
    is_private, is_option, is_call : ndarray of bool, shape (P,)
    quantity, entry_price, exit_price, strike : ndarray of float64, shape (P,)
    entry, exit, as_of, expiration : ndarray of datetime64[D], shape (P,)
    flow_portfolio, flow_cents : ndarray of int64, shape (F,)
    flow_day : ndarray of datetime64[D], shape (F,)
    valuation_position : ndarray of int64, shape (V,)
        The position as an index into the positions.
    valuation_day, valuation_price : ndarray, shape (V,)
    """

    portfolio_id: Ints
    equity_cents: Ints
    inception: Dates
    position_id: Ints
    symbol_id: Ints
    underlying_id: Ints
    portfolio: Ints
    symbol: list[str]
    is_private: Bools
    is_option: Bools
    is_call: Bools
    quantity: Floats
    entry_price: Floats
    exit_price: Floats
    strike: Floats
    entry: Dates
    exit: Dates
    as_of: Dates
    expiration: Dates
    flow_portfolio: Ints
    flow_cents: Ints
    flow_day: Dates
    valuation_position: Ints
    valuation_day: Dates
    valuation_price: Floats


_PORTFOLIOS = """
    SELECT array_agg(id ORDER BY id), array_agg((equity_balance * 100)::int8 ORDER BY id),
           array_agg(inception - date '1970-01-01' ORDER BY id)
    FROM portfolios WHERE deleted_at IS NULL AND (%(ids)s::int8[] IS NULL OR id = ANY(%(ids)s))
"""

_POSITIONS = f"""
    SELECT array_agg(id), array_agg(portfolio_id), array_agg(symbol), array_agg(symbol_id), array_agg(underlying_id),
           array_agg(private), array_agg(option), array_agg(call), array_agg(quantity), array_agg(entry_price),
           array_agg(exit_price), array_agg(strike), array_agg(entry_day), array_agg(exit_day), array_agg(as_of_day),
           array_agg(expiration_day)
    FROM (
        SELECT p.id, p.portfolio_id, p.symbol, coalesce(p.symbol_id, 0)::int8 AS symbol_id,
               coalesce(u.underlying_id, 0)::int8 AS underlying_id,
               (p.investment_class = 'PRIVATE')::int4 AS private, (p.investment_class = 'OPTIONS')::int4 AS option,
               coalesce(u.is_call, false)::int4 AS call, p.quantity::float8 AS quantity,
               p.entry_price::float8 AS entry_price, coalesce(p.exit_price::float8, 'NaN') AS exit_price,
               coalesce(u.strike::float8, 'NaN') AS strike,
               p.entry_date - date '1970-01-01' AS entry_day,
               coalesce(p.exit_date - date '1970-01-01', {NEVER}) AS exit_day,
               p.quantity_as_of - date '1970-01-01' AS as_of_day,
               coalesce(u.expiration - date '1970-01-01', {NEVER}) AS expiration_day
        FROM positions p LEFT JOIN symbol_universe u ON u.id = p.symbol_id
        WHERE p.deleted_at IS NULL AND p.portfolio_id = ANY(%(ids)s)
        ORDER BY p.portfolio_id, p.id
    ) AS ordered
"""  # noqa: S608 - our own constant

_FLOWS = """
    SELECT array_agg(portfolio_id ORDER BY id), array_agg(day - date '1970-01-01' ORDER BY id),
           array_agg((CASE kind WHEN 'contribution' THEN amount ELSE -amount END * 100)::int8 ORDER BY id)
    FROM equity_changes WHERE portfolio_id = ANY(%(ids)s)
"""

_VALUATIONS = """
    SELECT array_agg(v.position_id ORDER BY v.position_id, v.day),
           array_agg(v.day - date '1970-01-01' ORDER BY v.position_id, v.day),
           array_agg(v.price::float8 ORDER BY v.position_id, v.day)
    FROM position_valuations v JOIN positions p ON p.id = v.position_id
    WHERE p.deleted_at IS NULL AND p.portfolio_id = ANY(%(ids)s)
"""


def read_ledger(connection: Connection, portfolio_ids: Sequence[int] | None = None) -> Ledger:
    """Read the ledgers of all portfolios, or of some, whoever owns them: this is the batch's view."""
    cursor = array_cursor(driver(connection))

    def fetch(query: str, ids: Sequence[int] | None, columns: int) -> list[NDArray[np.generic]]:
        row = cursor.execute(query.encode(), {"ids": ids}).fetchone() or [None] * columns
        return [np.empty(0, dtype=np.int64) if value is None else value for value in row]

    keys, equity, inception = fetch(_PORTFOLIOS, portfolio_ids, 3)
    wanted = keys.tolist()
    lots = fetch(_POSITIONS, wanted, 16)
    flow_portfolio, flow_day, flow_cents = fetch(_FLOWS, wanted, 3)
    valued, valued_day, valued_price = fetch(_VALUATIONS, wanted, 3)
    return Ledger(
        portfolio_id=keys.astype(np.int64),
        equity_cents=equity.astype(np.int64),
        inception=_days(inception),
        position_id=lots[0].astype(np.int64),
        portfolio=np.searchsorted(keys, lots[1]),
        symbol=list(lots[2]),
        symbol_id=lots[3].astype(np.int64),
        underlying_id=lots[4].astype(np.int64),
        is_private=lots[5].astype(np.bool_),
        is_option=lots[6].astype(np.bool_),
        is_call=lots[7].astype(np.bool_),
        quantity=lots[8].astype(np.float64),
        entry_price=lots[9].astype(np.float64),
        exit_price=lots[10].astype(np.float64),
        strike=lots[11].astype(np.float64),
        entry=_days(lots[12]),
        exit=_days(lots[13]),
        as_of=_days(lots[14]),
        expiration=_days(lots[15]),
        flow_portfolio=np.searchsorted(keys, flow_portfolio),
        flow_cents=flow_cents.astype(np.int64),
        flow_day=_days(flow_day),
        valuation_position=np.searchsorted(lots[0], valued),
        valuation_day=_days(valued_day),
        valuation_price=valued_price.astype(np.float64),
    )


def _days(numbers: NDArray[np.generic]) -> Dates:
    days = numbers.astype(np.int64).astype("datetime64[D]")
    days[numbers == NEVER] = np.datetime64("NaT")
    return days


class BusyError(ClosingBellError):
    """Somebody else writes the portfolios, and the patience has ended."""

    transient = True


def lock(connection: Connection, portfolio_ids: Collection[int], patience: timedelta | None = None) -> None:
    """Keep others from writing these portfolios, ledgers and snapshots, until the transaction ends.

    Raises
    ------
    BusyError
        When it takes longer than `patience`.
    """
    if patience is not None:
        milliseconds = str(round(patience.total_seconds() * 1000))
        connection.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": milliseconds})
    try:
        take_lock(connection, locks.PORTFOLIOS, shared=True)
        for key in sorted(portfolio_ids):
            take_lock(connection, locks.portfolio(key))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise BusyError("the batch is writing the portfolios", "Try again in a moment") from error
        raise


def holders(connection: Connection, symbol_ids: Collection[int]) -> list[int]:
    """Return the portfolios that hold one of these symbols, or an option on one."""
    query = text("""
        SELECT DISTINCT p.portfolio_id FROM positions p JOIN symbol_universe u ON u.id = p.symbol_id
        JOIN portfolios f ON f.id = p.portfolio_id
        WHERE p.deleted_at IS NULL AND f.deleted_at IS NULL AND (u.id = ANY(:ids) OR u.underlying_id = ANY(:ids))
        ORDER BY 1
    """)
    return list(connection.execute(query, {"ids": list(symbol_ids)}).scalars())


def mark_stale(connection: Connection, portfolio_ids: Collection[int]) -> None:
    """Remember that the snapshots of portfolios are to be written anew."""
    _set_stale(connection, portfolio_ids, "now()")


def clear_stale(connection: Connection, portfolio_ids: Collection[int]) -> None:
    """Forget it: they have been written."""
    _set_stale(connection, portfolio_ids, "NULL")


def _set_stale(connection: Connection, portfolio_ids: Collection[int], value: str) -> None:
    changed = "stale_since IS NOT NULL" if value == "NULL" else "true"
    connection.execute(
        text(f"""
            WITH chosen AS (
                SELECT id FROM portfolios WHERE id = ANY(:ids) AND {changed} ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE portfolios p SET stale_since = {value} FROM chosen c WHERE p.id = c.id
        """),  # noqa: S608 - our own words
        {"ids": list(portfolio_ids)},
    )


def stale(connection: Connection, since_seconds: float) -> list[int]:
    """Return the portfolios that have been stale for so long: whoever made them so has not written them."""
    query = text("""
        SELECT id FROM portfolios
        WHERE stale_since < now() - :seconds * interval '1 second' AND deleted_at IS NULL ORDER BY id
    """)
    return list(connection.execute(query, {"seconds": since_seconds}).scalars())


def create(connection: Connection, owner: str, portfolio: NewPortfolio, quantity_as_of: date) -> int | None:
    """Store a portfolio whose symbols the universe knows; return its key, or None when the account exists already."""
    key = open_account(connection, owner, portfolio)
    if key is None:
        return None
    add_positions(connection, key, portfolio.positions, quantity_as_of)
    for day, kind, amount in portfolio.equity_changes:
        connection.execute(insert(EquityChange).values(portfolio_id=key, day=day, kind=kind, amount=amount))
    return key


def open_account(connection: Connection, owner: str, portfolio: NewPortfolio) -> int | None:
    """Store the head of a portfolio; return its key, or None when the account exists already."""
    statement = (
        insert(Portfolio)
        .values(
            owner=owner,
            name=portfolio.name,
            account_name=portfolio.account_name,
            account_type=portfolio.account_type,
            equity_balance=portfolio.equity,
            inception=portfolio.inception,
        )
        .on_conflict_do_nothing(index_elements=["owner", "account_name"], index_where=Portfolio.deleted_at.is_(None))
        .returning(Portfolio.id)
    )
    key: int | None = connection.execute(statement).scalar()
    return key


def symbol_key(connection: Connection, position: NewPosition) -> int | None:
    """Return the key of a position's symbol, which the universe must know; a private asset has none."""
    if position.investment_class == PRIVATE:
        return None
    return universe.identify(connection, [position.symbol])[position.symbol]


def add_positions(connection: Connection, portfolio_id: int, positions: Sequence[NewPosition], as_of: date) -> None:
    """Add lots to a portfolio, in their order; `as_of` is the day whose share count their quantities are stated in."""
    traded = {position.symbol for position in positions if position.investment_class != PRIVATE}
    ids = universe.identify(connection, traded)
    rows = [
        {
            "portfolio_id": portfolio_id,
            "symbol": position.symbol,
            "symbol_id": None if position.investment_class == PRIVATE else ids[position.symbol],
            "investment_class": position.investment_class,
            "investment_subtype": position.investment_subtype,
            "position_type": position.position_type,
            "quantity": position.quantity,
            "quantity_as_of": as_of,
            "entry_price": position.entry_price,
            "entry_date": position.entry_date,
            "exit_date": position.exit_date,
            "exit_price": position.exit_price,
        }
        for position in positions
    ]
    if not rows:
        return
    keys = connection.execute(insert(Position).returning(Position.id, sort_by_parameter_order=True), rows).scalars()
    valuations = [
        {"position_id": key, "day": day, "price": price}
        for key, position in zip(keys, positions, strict=True)
        for day, price in position.valuations
    ]
    if valuations:
        connection.execute(insert(PositionValuation), valuations)

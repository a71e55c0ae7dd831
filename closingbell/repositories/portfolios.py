"""Portfolios as the plant writes them: their locks, their staleness, and new ledgers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from closingbell.errors import ClosingBellError
from closingbell.ledger.entries import PRIVATE, NewPortfolio, NewPosition
from closingbell.repositories import locks, universe
from closingbell.repositories.database import take_lock
from closingbell.repositories.tables import EquityChange, Portfolio, Position, PositionValuation


class BusyError(ClosingBellError):
    """Another run holds the lock of the portfolios for longer than the caller waits."""

    transient = True


def lock(connection: Connection, portfolio_ids: Collection[int], timeout: timedelta | None = None) -> None:
    """Keep other transactions from writing these ledgers and their snapshots until this one ends.

    Parameters
    ----------
    timeout : timedelta or None
        How long to wait for each lock; None: without limit.

    Raises
    ------
    BusyError
        If a lock is not free within `timeout`.
    """
    if timeout is not None:
        milliseconds = str(round(timeout.total_seconds() * 1000))
        connection.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": milliseconds})
    try:
        take_lock(connection, locks.PORTFOLIOS, shared=True)
        for key in sorted(portfolio_ids):
            take_lock(connection, locks.portfolio(key))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise BusyError("another run is writing the portfolios", "Try again in a moment") from error
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
    """Record that the snapshots of portfolios must be written again."""
    _set_stale(connection, portfolio_ids, "now()")


def clear_stale(connection: Connection, portfolio_ids: Collection[int]) -> None:
    """Record that the snapshots of portfolios are up to date."""
    _set_stale(connection, portfolio_ids, "NULL")


def _set_stale(connection: Connection, portfolio_ids: Collection[int], value: str) -> None:
    changed = "stale_since IS NOT NULL" if value == "NULL" else "true"
    connection.execute(
        text(f"""
            WITH chosen AS (
                SELECT id FROM portfolios WHERE id = ANY(:ids) AND {changed} ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE portfolios p SET stale_since = {value} FROM chosen c WHERE p.id = c.id
        """),  # noqa: S608 - our own constants
        {"ids": list(portfolio_ids)},
    )


def stale(connection: Connection, since_seconds: float) -> list[int]:
    """Return the portfolios that have been stale for more than `since_seconds`: the run that made them so has died."""
    query = text("""
        SELECT id FROM portfolios
        WHERE stale_since < now() - :seconds * interval '1 second' AND deleted_at IS NULL ORDER BY id
    """)
    return list(connection.execute(query, {"seconds": since_seconds}).scalars())


def create(connection: Connection, owner: str, portfolio: NewPortfolio, quantity_as_of: date) -> int | None:
    """Store a portfolio whose symbols are in the universe; return its key, or None if the account exists already."""
    key = open_account(connection, owner, portfolio)
    if key is None:
        return None
    add_positions(connection, key, portfolio.positions, quantity_as_of)
    for day, kind, amount in portfolio.equity_changes:
        connection.execute(insert(EquityChange).values(portfolio_id=key, day=day, kind=kind, amount=amount))
    return key


def open_account(connection: Connection, owner: str, portfolio: NewPortfolio) -> int | None:
    """Store a portfolio without positions; return its key, or None if the account exists already."""
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
    """Return the key of a position's symbol, which must be in the universe, or None for a private asset."""
    if position.investment_class == PRIVATE:
        return None
    return universe.identify(connection, [position.symbol])[position.symbol]


def add_positions(connection: Connection, portfolio_id: int, positions: Sequence[NewPosition], as_of: date) -> None:
    """Add lots to a portfolio, in their order; splits after `as_of` change their quantities."""
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

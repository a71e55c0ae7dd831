"""The symbol universe: which instruments the plant follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import ColumnElement, Connection, Text, any_, bindparam, cast, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from closingbell.market.instruments import Instrument, Instruments, Kind, OptionContract
from closingbell.repositories.tables import Symbol


def active(connection: Connection, kinds: Sequence[Kind]) -> Instruments:
    """Return the instruments of `kinds` that the batch follows, ordered by id."""
    return _read(connection, Symbol.kind.in_(kinds), Symbol.status == "active")


def known(connection: Connection, kinds: Sequence[Kind]) -> Instruments:
    """Return all instruments of `kinds`, of any status, ordered by id."""
    return _read(connection, Symbol.kind.in_(kinds))


def by_id(connection: Connection, symbol_ids: Collection[int]) -> Instruments:
    """Return the instruments with these keys, of any status, ordered by id."""
    return _read(connection, Symbol.id.in_(symbol_ids))


def by_symbol(connection: Connection, symbols: Collection[str]) -> Instruments:
    """Return the known instruments of these names, of any status, ordered by id."""
    return _read(connection, _named(symbols))


def _named(symbols: Collection[str]) -> ColumnElement[bool]:
    # One array parameter: there may be thousands of symbols.
    return Symbol.symbol == any_(cast(list(symbols), ARRAY(Text)))


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> Instruments:
    underlying = select(Symbol.id, Symbol.symbol).subquery()
    query = (
        select(
            Symbol.id,
            Symbol.symbol,
            Symbol.kind,
            Symbol.history_from,
            Symbol.history_to,
            Symbol.expiration,
            Symbol.strike,
            Symbol.is_call,
            Symbol.underlying_id,
            Symbol.needed_from,
            Symbol.followed_from,
            underlying.c.symbol.label("underlying"),
        )
        .outerjoin(underlying, Symbol.underlying_id == underlying.c.id)
        .where(*conditions)
        .order_by(Symbol.id)
    )
    return Instruments(
        Instrument(
            row.id,
            row.symbol,
            Kind(row.kind),
            (row.history_from, row.history_to) if row.history_from else None,
            OptionContract(row.symbol, row.underlying, row.expiration, row.is_call, row.strike)
            if row.underlying
            else None,
            row.underlying_id,
            row.needed_from,
            row.followed_from,
        )
        for row in connection.execute(query)
    )


def add_instruments(connection: Connection, instruments: Sequence[tuple[str, Kind]], status: str) -> int:
    """Insert stocks and funds that are not known yet; return how many were new."""
    return _add(connection, [{"symbol": symbol, "kind": kind.value, "status": status} for symbol, kind in instruments])


def add_contracts(connection: Connection, contracts: Sequence[OptionContract], status: str) -> int:
    """Insert option contracts that are not known yet; their underlyings must be known. Return how many were new."""
    ids = identify(connection, [contract.underlying for contract in contracts])
    rows = [
        {
            "symbol": contract.symbol,
            "kind": Kind.OPTION.value,
            "status": status,
            "underlying_id": ids[contract.underlying],
            "expiration": contract.expiration,
            "strike": contract.strike,
            "is_call": contract.is_call,
        }
        for contract in contracts
    ]
    return _add(connection, rows)


def _add(connection: Connection, rows: Sequence[Mapping[str, object]]) -> int:
    if not rows:
        return 0
    statement = insert(Symbol).on_conflict_do_nothing(index_elements=["symbol"]).returning(Symbol.id)
    return len(connection.execute(statement, rows).all())


def identify(connection: Connection, symbols: Collection[str]) -> dict[str, int]:
    """Return the keys of the known ones among `symbols`, by symbol."""
    query = select(Symbol.symbol, Symbol.id).where(_named(symbols))
    return {row.symbol: row.id for row in connection.execute(query)}


def record_history(connection: Connection, histories: Mapping[int, tuple[date, date]]) -> None:
    """Store, by symbol id, the first and last session for which the provider has answered."""
    if histories:
        statement = (
            update(Symbol)
            .where(Symbol.id == bindparam("key"))
            .values(history_from=bindparam("first"), history_to=bindparam("last"))
        )
        # Every transaction updates these rows in this order, so that two of them cannot deadlock.
        rows = [{"key": key, "first": first, "last": last} for key, (first, last) in sorted(histories.items())]
        connection.execute(statement, rows)


def record_kinds(connection: Connection, kinds: Mapping[int, Kind]) -> None:
    """Correct, by symbol id, whether symbols are stocks or funds; a request may state the wrong kind."""
    if kinds:
        statement = update(Symbol).where(Symbol.id == bindparam("key")).values(kind=bindparam("corrected"))
        connection.execute(statement, [{"key": key, "corrected": kind.value} for key, kind in sorted(kinds.items())])

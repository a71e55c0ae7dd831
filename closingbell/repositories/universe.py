"""The symbol universe: which instruments the plant follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import numpy as np
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from closingbell.arrays import Ints
from closingbell.occ import OptionContract
from closingbell.tables import Symbol


class Kind(StrEnum):
    """What a symbol stands for."""

    EQUITY = "equity"
    ETF = "etf"
    OPTION = "option"


@dataclass(frozen=True)
class Instrument:
    """One symbol of the universe; `history` is the range for which the provider has answered."""

    id: int
    symbol: str
    kind: Kind
    history: tuple[date, date] | None
    contract: OptionContract | None = None
    underlying_id: int | None = None


class Instruments(tuple[Instrument, ...]):
    """The active instruments of some kinds, ordered by id; the columns of every matrix of the batch."""

    __slots__ = ()

    @property
    def ids(self) -> Ints:
        """Return their keys, shape (N,), ascending."""
        return np.array([instrument.id for instrument in self], dtype=np.int64)

    @property
    def symbols(self) -> list[str]:
        """Return their names, length N."""
        return [instrument.symbol for instrument in self]


def active(connection: Connection, kinds: Sequence[Kind]) -> Instruments:
    """Return the instruments of `kinds` that the batch follows, ordered by id."""
    return _read(connection, kinds, status="active")


def known(connection: Connection, kinds: Sequence[Kind]) -> Instruments:
    """Return all instruments of `kinds` whatever their status, ordered by id."""
    return _read(connection, kinds, status=None)


def _read(connection: Connection, kinds: Sequence[Kind], status: str | None) -> Instruments:
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
            underlying.c.symbol.label("underlying"),
        )
        .outerjoin(underlying, Symbol.underlying_id == underlying.c.id)
        .where(Symbol.kind.in_(kinds))
        .order_by(Symbol.id)
    )
    if status is not None:
        query = query.where(Symbol.status == status)
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
        )
        for row in connection.execute(query)
    )


def add_instruments(connection: Connection, instruments: Sequence[tuple[str, Kind]], status: str) -> int:
    """Insert stocks and funds that are not known yet; return how many were new."""
    if not instruments:
        return 0
    rows = [{"symbol": symbol, "kind": kind, "status": status} for symbol, kind in instruments]
    statement = insert(Symbol).values(rows).on_conflict_do_nothing(index_elements=["symbol"]).returning(Symbol.id)
    return len(connection.execute(statement).all())


def add_contracts(connection: Connection, contracts: Sequence[OptionContract], status: str) -> int:
    """Insert option contracts that are not known yet; their underlyings must be known. Return how many were new."""
    if not contracts:
        return 0
    ids = identify(connection, [contract.underlying for contract in contracts])
    rows = [
        {
            "symbol": contract.symbol,
            "kind": Kind.OPTION,
            "status": status,
            "underlying_id": ids[contract.underlying],
            "expiration": contract.expiration,
            "strike": Decimal(contract.strike),
            "is_call": contract.is_call,
        }
        for contract in contracts
    ]
    statement = insert(Symbol).values(rows).on_conflict_do_nothing(index_elements=["symbol"]).returning(Symbol.id)
    return len(connection.execute(statement).all())


def identify(connection: Connection, symbols: Sequence[str]) -> dict[str, int]:
    """Return the keys of those of `symbols` that are known."""
    query = select(Symbol.symbol, Symbol.id).where(Symbol.symbol.in_(symbols))
    return {row.symbol: row.id for row in connection.execute(query)}


def record_history(connection: Connection, histories: Mapping[int, tuple[date, date]]) -> None:
    """Remember, by symbol id, the range of sessions for which the provider has answered."""
    if histories:
        statement = (
            update(Symbol)
            .where(Symbol.id == bindparam("key"))
            .values(history_from=bindparam("first"), history_to=bindparam("last"))
        )
        rows = [{"key": key, "first": first, "last": last} for key, (first, last) in histories.items()]
        connection.execute(statement, rows)

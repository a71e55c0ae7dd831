"""Company profiles and financial statements, as they were known on a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Integer, any_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from closingbell.arrays import Dates, Floats, Ints
from closingbell.providers.base import Profile, Statement, Statements
from closingbell.repositories.tables import BalanceSheet, CashFlow, CompanyProfile, IncomeStatement

StatementTable = type[IncomeStatement | BalanceSheet | CashFlow]

STATEMENT_TABLES: tuple[tuple[StatementTable, Callable[[Statements], Sequence[Statement]]], ...] = (
    (IncomeStatement, lambda statements: statements.income),
    (BalanceSheet, lambda statements: statements.balance),
    (CashFlow, lambda statements: statements.cash_flow),
)


def upsert_profiles(connection: Connection, as_of: date, profiles: Mapping[int, Profile]) -> int:
    """Store the profile of each company, by symbol id, as of a session; return how many rows were written."""
    rows = [{"symbol_id": key, "as_of": as_of, **asdict(profile)} for key, profile in profiles.items()]
    for row in rows:
        del row["is_fund"]  # the universe stores the kind of a symbol
    if rows:
        statement = insert(CompanyProfile).values(rows)
        values = {name: statement.excluded[name] for name in rows[0] if name not in {"symbol_id", "as_of"}}
        connection.execute(statement.on_conflict_do_update(index_elements=["symbol_id", "as_of"], set_=values))
    return len(rows)


@dataclass(frozen=True)
class ProfileFigures:
    """Figures of the profiles as known on each session, each of shape (S, N), NaN where unknown."""

    beta: Floats
    market_cap: Floats
    pe_ratio: Floats


def read_figures(connection: Connection, sessions: Dates, symbol_ids: Ints) -> ProfileFigures:
    """Return the figures of N symbols on S sessions, from the latest profile up to each session.

    Market capitalisation is in the listing currency.
    """
    query = (
        select(
            CompanyProfile.symbol_id,
            CompanyProfile.as_of,
            CompanyProfile.beta,
            CompanyProfile.market_cap,
            CompanyProfile.pe_ratio,
        )
        .where(_of_symbols(symbol_ids.tolist()), CompanyProfile.as_of <= sessions[-1].item())
        .order_by(CompanyProfile.as_of)
    )
    column_of = {key: column for column, key in enumerate(symbol_ids.tolist())}
    figures = np.full((3, len(sessions), len(symbol_ids)), np.nan)
    for row in connection.execute(query):
        column = column_of.get(row.symbol_id)
        if column is not None:
            since = int(np.searchsorted(sessions, np.datetime64(row.as_of)))
            values = [row.beta, row.market_cap, row.pe_ratio]
            figures[:, since:, column] = [[np.nan if value is None else float(value)] for value in values]
    return ProfileFigures(*figures)


def _of_symbols(symbol_ids: Sequence[int]) -> ColumnElement[bool]:
    # One array parameter: there may be thousands of symbols.
    return CompanyProfile.symbol_id == any_(cast(list(symbol_ids), ARRAY(Integer)))


def read_sectors(connection: Connection, sessions: Dates, symbol_ids: Sequence[int]) -> list[dict[int, str]]:
    """Return the sectors of some symbols, by id, as known on each session; length S."""
    query = (
        select(CompanyProfile.symbol_id, CompanyProfile.as_of, CompanyProfile.sector)
        .where(
            _of_symbols(symbol_ids),
            CompanyProfile.as_of <= sessions[-1].item(),
            CompanyProfile.sector.is_not(None),
        )
        .order_by(CompanyProfile.as_of)
    )
    rows = connection.execute(query).all()
    return [{row.symbol_id: row.sector for row in rows if row.as_of <= day} for day in sessions.tolist()]


def due_for_statements(connection: Connection, session: date, symbol_ids: Sequence[int], grace_days: int) -> set[int]:
    """Return the companies whose statements must be fetched.

    These are companies without statements, and those whose next earnings date, as known at the last fetch, passed at
    least `grace_days` ago.
    """
    fetched = (
        select(IncomeStatement.symbol_id, func.max(IncomeStatement.as_of).label("as_of"))
        .group_by(IncomeStatement.symbol_id)
        .subquery()
    )
    announced = (
        select(fetched.c.symbol_id, func.max(CompanyProfile.next_earnings).label("next_earnings"))
        .outerjoin(
            CompanyProfile,
            (CompanyProfile.symbol_id == fetched.c.symbol_id) & (CompanyProfile.as_of <= fetched.c.as_of),
        )
        .group_by(fetched.c.symbol_id)
    )
    not_due = {
        row.symbol_id
        for row in connection.execute(announced)
        if row.next_earnings is None or (session - row.next_earnings).days < grace_days
    }
    return set(symbol_ids) - not_due


def upsert_statements(connection: Connection, as_of: date, statements: Mapping[int, Statements]) -> int:
    """Store the quarterly statements of each company, by symbol id; return how many were given.

    A statement that is stored already with the same figures keeps its `as_of`.
    """
    count = 0
    for table, statements_of in STATEMENT_TABLES:
        rows: list[dict[str, Any]] = [
            {
                "symbol_id": key,
                "period_end": statement.period_end,
                "as_of": as_of,
                "currency": statement.currency,
                "source": answer.source,
                **statement.lines,
            }
            for key, answer in statements.items()
            for statement in statements_of(answer)
        ]
        if not rows:
            continue
        insertion = insert(table).values(rows)
        lines = [name for name in rows[0] if name not in {"symbol_id", "period_end", "as_of"}]
        differs = [table.__table__.c[name].is_distinct_from(insertion.excluded[name]) for name in lines]
        connection.execute(
            insertion.on_conflict_do_update(
                index_elements=["symbol_id", "period_end"],
                set_={name: insertion.excluded[name] for name in [*lines, "as_of"]},
                where=or_(*differs),
            )
        )
        count += len(rows)
    return count

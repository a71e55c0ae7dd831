"""Factor definitions and the betas of symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import numpy as np
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.arrays import Dates, Floats, Ints
from closingbell.calculations.factor_definitions import FACTORS
from closingbell.calculations.factors import FactorEstimates
from closingbell.repositories.copying import Column, array_cursor, copy_rows
from closingbell.repositories.database import driver, ensure_year_partitions
from closingbell.repositories.symbol_columns import SymbolColumns
from closingbell.repositories.tables import QUALITY_FLAGS, FactorDefinitionRow

TABLE = "symbol_factor_exposures"


def seed_definitions(connection: Connection) -> None:
    """Insert the factor definitions, or update those that exist."""
    rows = [
        {
            "id": factor.order,
            "name": factor.name,
            "kind": factor.kind,
            "method": factor.method,
            "regressors": list(factor.regressors),
            "window_sessions": factor.window,
            "minimum_observations": factor.minimum,
        }
        for factor in FACTORS
    ]
    statement = insert(FactorDefinitionRow).values(rows)
    values = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def replace_estimates(
    connection: Connection, sessions: Dates, symbol_ids: Ints, estimates: Iterable[tuple[Dates, FactorEstimates]]
) -> int:
    """Replace the rows of N symbols on the given sessions; return how many were written.

    The estimates come in blocks of sessions, in their order. Rows of other symbols, such as inactive ones, stay.
    """
    first, last = sessions[0].item(), sessions[-1].item()
    ensure_year_partitions(connection, TABLE, first.year, last.year)
    connection.execute(
        text(f"DELETE FROM {TABLE} WHERE session BETWEEN :first AND :last AND symbol_id = ANY(:ids)"),  # noqa: S608
        {"first": first, "last": last, "ids": symbol_ids.tolist()},
    )
    return copy_rows(driver(connection), TABLE, _columns(symbol_ids, estimates))


def _columns(symbol_ids: Ints, estimates: Iterable[tuple[Dates, FactorEstimates]]) -> Iterator[Sequence[Column]]:
    """Turn arrays of shape (S, N, F) into columns; a row per session, symbol and factor, in the key's order."""
    windows = np.array([factor.window or -1 for factor in FACTORS])
    for sessions, block in estimates:
        shape = block.beta.shape
        observations = block.observations.reshape(-1)
        window = np.broadcast_to(windows, shape).reshape(-1)
        yield [
            Column.date("session", np.repeat(sessions, shape[1] * shape[2])),
            Column.integer("symbol_id", np.broadcast_to(symbol_ids[:, None], shape).reshape(-1)),
            Column.smallint("factor_id", np.broadcast_to(np.arange(shape[2]), shape).reshape(-1)),
            Column.double("beta", block.beta.reshape(-1)),
            Column.double("std_error", block.std_error.reshape(-1)),
            Column.double("t_stat", block.t_stat.reshape(-1)),
            Column.double("r_squared", block.r_squared.reshape(-1)),
            Column.smallint("observations", observations, observations < 0),
            Column.smallint("window_sessions", window, window < 0),
            Column.label("quality_flag", block.quality.reshape(-1), QUALITY_FLAGS),
        ]


def read_betas(connection: Connection, sessions: Dates, symbol_ids: Ints) -> Floats:
    """Return the betas of N symbols on S sessions, shape (S, F, N), NaN where unknown."""
    result = np.full((len(sessions), len(FACTORS), len(symbol_ids)), np.nan)
    if not len(symbol_ids):
        return result
    row_of = {day: row for row, day in enumerate(sessions.tolist())}
    symbols = SymbolColumns(symbol_ids)
    query = (
        f"SELECT session, factor_id, array_agg(symbol_id), array_agg(coalesce(beta, 'NaN')) FROM {TABLE} "  # noqa: S608
        f"WHERE session = ANY(%s) AND {symbols.condition} GROUP BY session, factor_id"
    )
    with array_cursor(driver(connection)) as cursor:
        cursor.execute(query.encode(), (sessions.tolist(), symbols.parameter))
        for session, factor, ids, betas in cursor:
            columns, requested = symbols.locate(ids)
            result[row_of[session], factor, columns] = betas[requested]
    return result


def newest_session(connection: Connection) -> date | None:
    """Return the newest session that has betas: new portfolios and symbols are computed for this one."""
    newest: date | None = connection.execute(text(f"SELECT max(session) FROM {TABLE}")).scalar()  # noqa: S608
    return newest


def sessions_with_estimates(connection: Connection, sessions: Sequence[date]) -> set[date]:
    """Return those of `sessions` for which betas are stored."""
    query = text(
        f"SELECT day FROM unnest(cast(:days AS date[])) AS day "  # noqa: S608
        f"WHERE EXISTS (SELECT 1 FROM {TABLE} WHERE session = day)"
    )
    return set(connection.execute(query, {"days": list(sessions)}).scalars())

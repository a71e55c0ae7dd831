"""Daily bars, corporate actions and the bars that were refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from sqlalchemy import Connection, bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.arrays import Dates, Floats, Ints
from closingbell.market.bars import ActionKind, Bars
from closingbell.market.bars import CorporateAction as Action
from closingbell.market.quality import PRICE_DECIMALS
from closingbell.market.quality import RefusedBar as Refused
from closingbell.repositories.copying import Column, array_cursor, copy_rows
from closingbell.repositories.database import driver, ensure_year_partitions
from closingbell.repositories.symbol_columns import SymbolColumns
from closingbell.repositories.tables import CorporateAction, RefusedBar

TABLE = "market_data_cache"

BAR_VALUES = ("open", "high", "low", "close", "volume", "adj_close", "source")


def read_matrix(connection: Connection, sessions: Dates, symbol_ids: Ints, series: Sequence[str]) -> dict[str, Floats]:
    """Read prices into one array of shape (T, N) per series, by its name; NaN where unknown.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
        Ascending.
    symbol_ids : ndarray of int64, shape (N,)
    series : sequence of {"adj_close", "close", "volume"}
    """
    matrices = {name: np.full((len(sessions), len(symbol_ids)), np.nan) for name in series}
    if not len(sessions) or not len(symbol_ids):
        return matrices
    row_of = {day: row for row, day in enumerate(sessions.tolist())}
    symbols = SymbolColumns(symbol_ids)
    # One row per session with an array per series: with a row per price the protocol takes most of the time.
    arrays = ", ".join(f"array_agg(coalesce({name}::float8, 'NaN'))" for name in series)
    query = (
        f"SELECT session, array_agg(symbol_id), {arrays} FROM {TABLE} "  # noqa: S608 - our own names
        f"WHERE session BETWEEN %s AND %s AND {symbols.condition} GROUP BY session"
    )
    with array_cursor(driver(connection)) as cursor:
        cursor.execute(query.encode(), (sessions[0].item(), sessions[-1].item(), symbols.parameter))
        for session, ids, *arrays_of_session in cursor:
            row = row_of.get(session)
            if row is None:
                continue  # stored before the exchange announced that it would close on this day
            columns, requested = symbols.locate(ids)
            for name, values in zip(series, arrays_of_session, strict=True):
                matrices[name][row, columns] = values[requested]
    return matrices


def upsert_bars(connection: Connection, bars: Mapping[int, Bars], adjusted: Mapping[int, Floats]) -> int:
    """Insert or overwrite bars by symbol id, with their adjusted closes; return how many rows were given.

    Rows that are stored already with the same values are not touched, so that repeating a partition writes nothing.
    """
    bars = {key: item for key, item in bars.items() if len(item.sessions)}
    if not bars:
        return 0
    first = min(item.sessions.min() for item in bars.values()).item()
    last = max(item.sessions.max() for item in bars.values()).item()
    ensure_year_partitions(connection, TABLE, first.year, last.year)
    connection.execute(text(f"CREATE TEMP TABLE staged_bars (LIKE {TABLE}) ON COMMIT DROP"))
    rows = copy_rows(driver(connection), "staged_bars", [_bar_columns(bars, adjusted)])
    connection.execute(
        text(
            f"INSERT INTO {TABLE} SELECT * FROM staged_bars ON CONFLICT (session, symbol_id) DO UPDATE SET "  # noqa: S608
            + ", ".join(f"{name} = excluded.{name}" for name in BAR_VALUES)
            + f" WHERE ({', '.join(f'{TABLE}.{name}' for name in BAR_VALUES)}) IS DISTINCT FROM "
            + f"({', '.join(f'excluded.{name}' for name in BAR_VALUES)})"
        )
    )
    connection.execute(text("DROP TABLE staged_bars"))
    return rows


def _bar_columns(bars: Mapping[int, Bars], adjusted: Mapping[int, Floats]) -> list[Column]:
    """Return the columns of all bars, in the order of the table's key."""
    series = list(bars.values())
    lengths = [len(item.sessions) for item in series]
    sessions = np.concatenate([item.sessions for item in series])
    ids = np.repeat(list(bars), lengths)
    order = np.lexsort((ids, sessions))
    prices = {
        "open": [item.open for item in series],
        "high": [item.high for item in series],
        "low": [item.low for item in series],
        "close": [item.close for item in series],
    }
    volume = np.concatenate([item.volume for item in series])[order]
    return [
        Column.date("session", sessions[order]),
        Column.integer("symbol_id", ids[order]),
        *(Column.rounded(name, np.concatenate(values)[order], PRICE_DECIMALS) for name, values in prices.items()),
        Column.bigint("volume", np.nan_to_num(volume).round().astype(np.int64), np.isnan(volume)),
        Column.double("adj_close", np.concatenate([adjusted[key] for key in bars])[order]),
        Column.label("source", np.repeat(np.arange(len(series)), lengths)[order], [item.source for item in series]),
    ]


def read_series(connection: Connection, symbol_ids: Sequence[int]) -> dict[int, tuple[Dates, Floats, Floats]]:
    """Return the entire stored series of each symbol: sessions, closes and adjusted closes, each of shape (T,)."""
    query = (
        f"SELECT symbol_id, array_agg((session - date '1970-01-01')::int4 ORDER BY session), "  # noqa: S608
        f"array_agg(close::float8 ORDER BY session), array_agg(coalesce(adj_close, 'NaN') ORDER BY session) "
        f"FROM {TABLE} WHERE symbol_id = ANY(%s) GROUP BY symbol_id"
    )
    with array_cursor(driver(connection)) as cursor:
        cursor.execute(query, (list(symbol_ids),))
        return {
            key: (days.astype("datetime64[D]"), close, adjusted) for key, days, close, adjusted in cursor.fetchall()
        }


def update_adjusted(connection: Connection, changes: Mapping[int, tuple[Dates, Floats]]) -> int:
    """Overwrite adjusted closes by symbol id and session; return how many were given."""
    changes = {key: value for key, value in changes.items() if len(value[0])}
    if not changes:
        return 0
    ids = np.repeat(list(changes), [len(days) for days, _ in changes.values()])
    columns = [
        Column.integer("symbol_id", ids),
        Column.date("session", np.concatenate([days for days, _ in changes.values()])),
        Column.double("adj_close", np.concatenate([values for _, values in changes.values()])),
    ]
    connection.execute(
        text("CREATE TEMP TABLE staged_adjustments (symbol_id int, session date, adj_close float8) ON COMMIT DROP")
    )
    copy_rows(driver(connection), "staged_adjustments", [columns])
    connection.execute(
        text(
            f"UPDATE {TABLE} m SET adj_close = s.adj_close FROM staged_adjustments s "  # noqa: S608
            "WHERE m.symbol_id = s.symbol_id AND m.session = s.session"
        )
    )
    connection.execute(text("DROP TABLE staged_adjustments"))
    return len(ids)


def record_actions(connection: Connection, actions: Mapping[int, tuple[Iterable[Action], str]]) -> dict[int, set[date]]:
    """Store corporate actions and their source, by symbol id.

    Returns
    -------
    dict of int to set of date
        The ex-dates that are new or whose value changed, by symbol id.
    """
    rows = [
        {"symbol_id": key, "ex_date": a.ex_date, "kind": a.kind, "value": a.value, "source": source}
        for key, (listed, source) in actions.items()
        for a in listed
    ]
    if not rows:
        return {}
    statement = insert(CorporateAction).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["symbol_id", "ex_date", "kind"],
        set_={"value": statement.excluded.value, "source": statement.excluded.source},
        where=CorporateAction.value != statement.excluded.value,
    )
    changed: dict[int, set[date]] = {}
    for row in connection.execute(statement.returning(CorporateAction.symbol_id, CorporateAction.ex_date)):
        changed.setdefault(row.symbol_id, set()).add(row.ex_date)
    return changed


def read_actions(connection: Connection, symbol_ids: Sequence[int]) -> dict[int, list[Action]]:
    """Return the corporate actions by symbol id, oldest first, of the symbols that have any."""
    query = (
        select(CorporateAction)
        .where(CorporateAction.symbol_id.in_(symbol_ids))
        .order_by(CorporateAction.symbol_id, CorporateAction.ex_date, CorporateAction.kind)
    )
    result: dict[int, list[Action]] = {}
    for row in connection.execute(query):
        action = Action(row.ex_date, ActionKind(row.kind), Decimal(row.value))
        result.setdefault(row.symbol_id, []).append(action)
    return result


@dataclass(frozen=True)
class Refusals:
    """The refused bars and actions of one symbol; `requested` is the first and last day of the fetched range."""

    requested: tuple[date, date]
    bars: Sequence[Refused]
    source: str


def replace_refused(connection: Connection, refusals: Mapping[int, Refusals]) -> None:
    """Store what was refused, by symbol id; it replaces what was refused in the same ranges before."""
    if not refusals:
        return
    statement = delete(RefusedBar).where(
        RefusedBar.symbol_id == bindparam("key"), RefusedBar.day.between(bindparam("first"), bindparam("last"))
    )
    ranges = [{"key": key, "first": item.requested[0], "last": item.requested[1]} for key, item in refusals.items()]
    connection.execute(statement, ranges)
    rows = [
        {"symbol_id": key, "day": bar.session, "reason": bar.reason, "detail": bar.detail, "source": item.source}
        for key, item in refusals.items()
        for bar in item.bars
    ]
    if rows:
        connection.execute(insert(RefusedBar).values(rows).on_conflict_do_nothing())

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
from closingbell.repositories.tables import CorporateAction, RefusedBar

TABLE = "market_data_cache"

FEW_SYMBOLS = 200


def read_matrix(connection: Connection, sessions: Dates, symbol_ids: Ints, series: Sequence[str]) -> dict[str, Floats]:
    """Read prices into arrays of shape (T, N), NaN where unknown, by the name of the series.

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
    place = np.full(int(symbol_ids.max()) + 1, -1, dtype=np.int64)
    place[symbol_ids] = np.arange(len(symbol_ids))
    row_of = {day: row for row, day in enumerate(sessions.tolist())}
    # A few symbols are looked up in their index; for all of them the table is read as it lies.
    few = len(symbol_ids) <= FEW_SYMBOLS
    chosen = "symbol_id = ANY(%s)" if few else "symbol_id <= %s"
    # One row per session with an array per series: a row per price would spend its time in the protocol.
    arrays = ", ".join(f"array_agg(coalesce({name}::float8, 'NaN'))" for name in series)
    query = (
        f"SELECT session, array_agg(symbol_id), {arrays} FROM {TABLE} "  # noqa: S608 - our own names
        f"WHERE session BETWEEN %s AND %s AND {chosen} GROUP BY session"
    )
    with array_cursor(driver(connection)) as cursor:
        symbols = symbol_ids.tolist() if few else len(place) - 1
        cursor.execute(query.encode(), (sessions[0].item(), sessions[-1].item(), symbols))
        for session, ids, *values_of in cursor:
            row, columns = row_of.get(session), place[ids]
            if row is None:
                continue  # stored before the day was announced to be closed
            wanted = columns >= 0
            for name, values in zip(series, values_of, strict=True):
                matrices[name][row, columns[wanted]] = values[wanted]
    return matrices


def upsert_bars(connection: Connection, bars: Mapping[int, Bars], adjusted: Mapping[int, Floats]) -> int:
    """Insert or overwrite bars by symbol id, with their adjusted closes; return how many rows were given.

    Rows that already say the same are left untouched, so that repeating a partition writes nothing.
    """
    if not bars:
        return 0
    ids = np.repeat(list(bars), [len(b.sessions) for b in bars.values()])
    if not len(ids):
        return 0
    series = list(bars.values())
    sessions = np.concatenate([b.sessions for b in series])
    years = sessions.astype("datetime64[Y]").astype(int) + 1970
    ensure_year_partitions(connection, TABLE, int(years.min()), int(years.max()))
    order = np.lexsort((ids, sessions))
    volume = np.concatenate([b.volume for b in series])[order]
    prices = {
        name: np.concatenate([getattr(b, name) for b in series])[order] for name in ("open", "high", "low", "close")
    }
    sources = [b.source for b in series]
    columns = [
        Column.date("session", sessions[order]),
        Column.integer("symbol_id", ids[order]),
        *(_price_column(name, values) for name, values in prices.items()),
        Column.bigint("volume", np.nan_to_num(volume).round().astype(np.int64), np.isnan(volume)),
        Column.double("adj_close", np.concatenate([adjusted[key] for key in bars])[order]),
        Column.label("source", np.repeat(np.arange(len(series)), [len(b.sessions) for b in series])[order], sources),
    ]
    connection.execute(text(f"CREATE TEMP TABLE staged_bars (LIKE {TABLE}) ON COMMIT DROP"))
    copy_rows(driver(connection), "staged_bars", [columns])
    values = ("open", "high", "low", "close", "volume", "adj_close", "source")
    connection.execute(
        text(
            f"INSERT INTO {TABLE} SELECT * FROM staged_bars ON CONFLICT (session, symbol_id) DO UPDATE SET "  # noqa: S608
            + ", ".join(f"{name} = excluded.{name}" for name in values)
            + f" WHERE ({', '.join(f'{TABLE}.{name}' for name in values)}) IS DISTINCT FROM "
            + f"({', '.join(f'excluded.{name}' for name in values)})"
        )
    )
    connection.execute(text("DROP TABLE staged_bars"))
    return len(ids)


def _price_column(name: str, values: Floats) -> Column:
    units = np.rint(np.nan_to_num(values) * 10**PRICE_DECIMALS).astype(np.int64)
    return Column.numeric(name, units, PRICE_DECIMALS, np.isnan(values))


def read_series(connection: Connection, symbol_ids: Sequence[int]) -> dict[int, tuple[Dates, Floats, Floats]]:
    """Return each symbol's whole stored series: sessions, closes and adjusted closes, each of shape (T,)."""
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
    """Overwrite adjusted closes by symbol id and session; return how many."""
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
    """Store corporate actions by symbol id, with their source.

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
    """Return the corporate actions of each symbol that has any, by symbol id, oldest first."""
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
    """What was refused of one symbol when the sessions of a range were asked for."""

    asked: tuple[date, date]
    bars: Sequence[Refused]
    source: str


def replace_refused(connection: Connection, refusals: Mapping[int, Refusals]) -> None:
    """Store what was refused, by symbol id, in place of what had been refused in the same ranges before."""
    if not refusals:
        return
    statement = delete(RefusedBar).where(
        RefusedBar.symbol_id == bindparam("key"), RefusedBar.day.between(bindparam("first"), bindparam("last"))
    )
    ranges = [{"key": key, "first": item.asked[0], "last": item.asked[1]} for key, item in refusals.items()]
    connection.execute(statement, ranges)
    rows = [
        {"symbol_id": key, "day": bar.session, "reason": bar.reason, "detail": bar.detail, "source": item.source}
        for key, item in refusals.items()
        for bar in item.bars
    ]
    if rows:
        connection.execute(insert(RefusedBar).values(rows).on_conflict_do_nothing())

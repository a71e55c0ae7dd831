"""Portfolio snapshots and factor exposures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from closingbell.arrays import Bools, Dates, Floats, Ints
from closingbell.calculations.exposure import FactorExposures, PositionExposures
from closingbell.calculations.money import MONEY_DECIMALS
from closingbell.calculations.valuation import Snapshots
from closingbell.repositories.copying import Column, array_cursor, copy_rows
from closingbell.repositories.database import driver, ensure_year_partitions

SNAPSHOTS = "portfolio_snapshots"
PORTFOLIO_EXPOSURES = "factor_exposures"
POSITION_EXPOSURES = "position_factor_exposures"

Number = TypeVar("Number", np.int64, np.float64)

STATUSES = ("complete", "partial")


@dataclass(frozen=True)
class SnapshotNames:
    """The sectors and symbols that snapshots name; S sessions of K portfolios, session by session.

    Parameters
    ----------
    sector_weights : list of dict, length S x K
        Weight by sector.
    missing, stale : list of list of str, length S x K
        Symbols without a price, and symbols valued at an older one.
    """

    sector_weights: list[dict[str, float]]
    missing: list[list[str]]
    stale: list[list[str]]


def replace_snapshots(
    connection: Connection,
    sessions: Dates,
    portfolio_ids: Ints,
    snapshots: Snapshots,
    market_beta: Floats,
    names: SnapshotNames,
) -> int:
    """Replace the snapshots of K portfolios on S sessions; return how many were written.

    A portfolio has no snapshot before its inception. `market_beta` has shape (K, S).
    """
    _delete(connection, SNAPSHOTS, sessions, portfolio_ids)
    started = snapshots.started.T.reshape(-1)
    chosen = np.flatnonzero(started).tolist()
    columns = [
        Column.date("session", np.repeat(sessions, len(portfolio_ids))[started]),
        Column.bigint("portfolio_id", np.tile(portfolio_ids, len(sessions))[started]),
        *(
            Column.numeric(name, _rows(values, started), MONEY_DECIMALS)
            for name, values in _cents_of(snapshots).items()
        ),
        *(Column.double(name, _rows(values, started)) for name, values in _ratios_of(snapshots).items()),
        Column.integer("position_count", _rows(snapshots.positions, started)),
        Column.integer("long_count", _rows(snapshots.long_count, started)),
        Column.integer("short_count", _rows(snapshots.short_count, started)),
        Column.double("market_beta", _rows(market_beta, started)),
        Column.json("sector_weights", [names.sector_weights[i] for i in chosen]),
        Column.json("missing_symbols", [names.missing[i] for i in chosen]),
        Column.json("stale_symbols", [names.stale[i] for i in chosen]),
        Column.label("status", np.array([bool(names.missing[i]) for i in chosen], dtype=np.int64), STATUSES),
    ]
    return copy_rows(driver(connection), SNAPSHOTS, [columns])


def _rows(values: NDArray[Number], started: Bools) -> NDArray[Number]:
    """Flatten an array (K, S) session by session, and keep the portfolios that have started."""
    return values.T.reshape(-1)[started]


def _cents_of(snapshots: Snapshots) -> dict[str, Ints]:
    return {
        "nav": snapshots.nav,
        "cash": snapshots.cash,
        "long_value": snapshots.long_value,
        "short_value": snapshots.short_value,
        "gross": snapshots.gross,
        "net": snapshots.net,
        "daily_pnl": snapshots.daily_pnl,
        "realized_pnl": snapshots.realized_pnl,
        "unrealized_pnl": snapshots.unrealized_pnl,
        "flow": snapshots.flow,
    }


def _ratios_of(snapshots: Snapshots) -> dict[str, Floats]:
    return {
        "leverage": snapshots.leverage,
        "daily_return": snapshots.daily_return,
        "cumulative_return": snapshots.cumulative_return,
        "hhi": snapshots.hhi,
        "effective_positions": snapshots.effective_positions,
        "top3_weight": snapshots.top3_weight,
        "top10_weight": snapshots.top10_weight,
        "coverage": snapshots.coverage,
    }


def sessions_of(connection: Connection, portfolio_ids: Sequence[int]) -> dict[int, list[date]]:
    """Return the sessions on which portfolios have snapshots, by portfolio."""
    query = text(
        f"SELECT portfolio_id, array_agg(session) FROM {SNAPSHOTS} "  # noqa: S608
        "WHERE portfolio_id = ANY(:ids) GROUP BY portfolio_id"
    )
    return {row[0]: row[1] for row in connection.execute(query, {"ids": list(portfolio_ids)})}


def read_nav(connection: Connection, sessions: Dates, portfolio_ids: Ints) -> tuple[Ints, Bools]:
    """Return the NAV in cents of K portfolios on S sessions, and where there is a snapshot; both of shape (K, S)."""
    nav = np.zeros((len(portfolio_ids), len(sessions)), dtype=np.int64)
    stored = np.zeros(nav.shape, dtype=np.bool_)
    query = (
        f"SELECT session, array_agg(portfolio_id), array_agg((nav * 100)::int8) FROM {SNAPSHOTS} "  # noqa: S608
        "WHERE session = ANY(%s) AND portfolio_id = ANY(%s) GROUP BY session"
    )
    column_of = {day: column for column, day in enumerate(sessions.tolist())}
    with array_cursor(driver(connection)) as cursor:
        for session, ids, values in cursor.execute(query, (sessions.tolist(), portfolio_ids.tolist())):
            rows = np.searchsorted(portfolio_ids, ids)
            nav[rows, column_of[session]] = values
            stored[rows, column_of[session]] = True
    return nav, stored


def delete_exposures(connection: Connection, sessions: Dates, portfolio_ids: Ints) -> None:
    """Delete the exposures of K portfolios and of their positions on S sessions."""
    first, last = sessions[0].item().year, sessions[-1].item().year
    for table in (PORTFOLIO_EXPOSURES, POSITION_EXPOSURES):
        ensure_year_partitions(connection, table, first, last)
        _delete(connection, table, sessions, portfolio_ids)


def add_portfolio_exposures(
    connection: Connection, sessions: Dates, portfolio_ids: Ints, exposures: FactorExposures, started: Bools
) -> int:
    """Write the exposures of K portfolios on S sessions where `started` (K, S) is True; return how many."""
    count, _, factors = exposures.dollar.shape
    rows = np.repeat(started.T.reshape(-1), factors)

    def flat(values: NDArray[Number]) -> NDArray[Number]:
        return values.transpose(1, 0, 2).reshape(-1)[rows]

    columns = [
        Column.date("session", np.repeat(sessions, count * factors)[rows]),
        Column.bigint("portfolio_id", np.tile(np.repeat(portfolio_ids, factors), len(sessions))[rows]),
        Column.smallint("factor_id", np.tile(np.arange(factors), count * len(sessions))[rows]),
        Column.double("exposure_value", flat(exposures.value)),
        Column.rounded("exposure_dollar", flat(exposures.dollar), MONEY_DECIMALS),
        Column.double("coverage", flat(exposures.coverage)),
        Column.integer("clipped", flat(exposures.clipped)),
    ]
    return copy_rows(driver(connection), PORTFOLIO_EXPOSURES, [columns])


def add_position_exposures(
    connection: Connection, sessions: Dates, portfolio_id: Ints, position_id: Ints, exposures: PositionExposures
) -> int:
    """Write the exposures of P positions on S sessions; return how many. A position without a beta has no row."""
    dollar = exposures.dollar.transpose(1, 0, 2)
    session, position, factor = np.nonzero(~np.isnan(dollar))
    columns = [
        Column.date("session", sessions[session]),
        Column.bigint("portfolio_id", portfolio_id[position]),
        Column.bigint("position_id", position_id[position]),
        Column.smallint("factor_id", factor),
        Column.double("exposure_value", exposures.value[position, session, factor]),
        Column.rounded("exposure_dollar", dollar[session, position, factor], MONEY_DECIMALS),
    ]
    return copy_rows(driver(connection), POSITION_EXPOSURES, [columns])


def _delete(connection: Connection, table: str, sessions: Dates, portfolio_ids: Sequence[int] | Ints) -> None:
    connection.execute(
        text(f"DELETE FROM {table} WHERE session BETWEEN :first AND :last AND portfolio_id = ANY(:ids)"),  # noqa: S608
        {"first": sessions[0].item(), "last": sessions[-1].item(), "ids": list(map(int, portfolio_ids))},
    )

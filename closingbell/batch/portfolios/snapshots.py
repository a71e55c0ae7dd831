"""The snapshots step: the value, cash and composition of every portfolio on every session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from closingbell.arrays import Bools, Floats
from closingbell.batch.portfolios.prerequisites import require_factors
from closingbell.batch.portfolios.valuation import ValuedPortfolios, value_ledgers
from closingbell.batch.report import StepReport, mean_of_known
from closingbell.calculations.exposure import factor_exposures
from closingbell.calculations.factor_definitions import MARKET_FACTOR
from closingbell.calculations.valuation import group_weights
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Kind
from closingbell.repositories import companies, factors, locks, snapshots, universe
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.ledger import Ledger
from closingbell.repositories.snapshots import SnapshotNames

ETF, PRIVATE, UNCLASSIFIED = "ETF", "Private", "Unclassified"


def compute_snapshots(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Value every portfolio on a range of sessions.

    Raises
    ------
    BatchError
        If the factors of a session have not been computed.
    """
    with database.transaction(lock=locks.PORTFOLIOS) as connection:
        require_factors(connection, sessions)
        valued = value_ledgers(connection, calendar, np.array(sessions, dtype="datetime64[D]"))
        return write_snapshots(connection, valued)


def write_snapshots(connection: Connection, valued: ValuedPortfolios) -> StepReport:
    """Replace the snapshots of some portfolios on the sessions on which they are valued."""
    betas = factors.read_betas(connection, valued.sessions, valued.price_ids)
    exposed = factor_exposures(valued.lots, valued.snapshots.nav, betas[:, [MARKET_FACTOR]])
    names = _names(connection, valued)
    rows = snapshots.replace_snapshots(
        connection, valued.sessions, valued.ledger.portfolio_id, valued.snapshots, exposed.value[:, :, 0], names
    )
    return _report(valued, names, rows)


def _names(connection: Connection, valued: ValuedPortfolios) -> SnapshotNames:
    """Name the sectors of each snapshot, and its symbols without a price or with an old one."""
    ledger, result = valued.ledger, valued.snapshots
    weights, labels = _sector_weights(connection, valued)
    named = [
        {labels[group]: round(float(row[group]), 6) for group in np.flatnonzero(row > 0)}
        for session in weights.transpose(1, 0, 2)
        for row in session
    ]
    return SnapshotNames(
        sector_weights=named,
        missing=_symbols_where(ledger, result.counted & ~result.priced),
        stale=_symbols_where(ledger, result.stale),
    )


def _sector_weights(connection: Connection, valued: ValuedPortfolios) -> tuple[Floats, list[str]]:
    """Return weights by sector, shape (K, S, G), and the names of the G sectors, as known on each session."""
    ledger = valued.ledger
    funds = {item.id for item in universe.known(connection, [Kind.ETF])}
    # An option belongs to the sector of its underlying.
    classified = np.where(ledger.underlying_id > 0, ledger.underlying_id, ledger.symbol_id)
    ids, inverse = np.unique(classified, return_inverse=True)
    labels: dict[str, int] = {}
    group = np.empty((len(ids), len(valued.sessions)), dtype=np.int64)
    for column, known in enumerate(companies.read_sectors(connection, valued.sessions, ids.tolist())):
        for row, key in enumerate(ids.tolist()):
            sector = PRIVATE if key == 0 else ETF if key in funds else known.get(key, UNCLASSIFIED)
            group[row, column] = labels.setdefault(sector, len(labels))
    weights = group_weights(
        valued.snapshots.value, ledger.portfolio, group[inverse], len(ledger.portfolio_id), len(labels)
    )
    return weights, list(labels)


def _symbols_where(ledger: Ledger, mask: Bools) -> list[list[str]]:
    """Return the symbols of the lots in a mask (P, S) by session and portfolio, length S x K."""
    count = len(ledger.portfolio_id)
    result: list[set[str]] = [set() for _ in range(mask.shape[1] * count)]
    for lot, session in zip(*np.nonzero(mask), strict=True):
        result[session * count + ledger.portfolio[lot]].add(ledger.symbol[lot])
    return [sorted(symbols) for symbols in result]


def _report(valued: ValuedPortfolios, names: SnapshotNames, rows: int) -> StepReport:
    ledger, result = valued.ledger, valued.snapshots
    missing = sorted({symbol for symbols in names.missing for symbol in symbols})
    last = np.flatnonzero(result.started[:, -1])[:10]
    return StepReport(
        snapshots.SNAPSHOTS,
        rows=rows,
        items=len(ledger.portfolio_id),
        warnings=dict.fromkeys(missing, "no price on some of the sessions: the snapshots that hold it are partial"),
        rows_per_session=dict(zip(valued.sessions.tolist(), result.started.sum(axis=0).tolist(), strict=True)),
        coverage=mean_of_known(result.coverage[:, -1]),
        notes={"positions": len(ledger.position_id)},
        sample=[
            {
                "portfolio": int(ledger.portfolio_id[row]),
                "NAV": f"{result.nav[row, -1] / 100:,.2f}",
                "day": f"{result.daily_return[row, -1]:+.2%}",
                "since inception": f"{result.cumulative_return[row, -1]:+.2%}",
            }
            for row in last
        ],
    )

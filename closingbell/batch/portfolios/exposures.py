"""The exposures step: the factor exposures of every portfolio and position on every session."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

import numpy as np

from closingbell.batch.portfolios.prerequisites import require_factors
from closingbell.batch.portfolios.valuation import ValuedPortfolios, value_ledgers
from closingbell.batch.report import StepReport, mean_of_known
from closingbell.calculations.exposure import PricedLots, factor_exposures, position_exposures
from closingbell.calculations.factor_definitions import FACTORS
from closingbell.errors import BatchError
from closingbell.market.calendar import SessionCalendar
from closingbell.repositories import factors, locks, portfolios, snapshots
from closingbell.repositories.database import Connection, Database

logger = logging.getLogger(__name__)

CELLS_PER_BLOCK = 400_000
"""Positions x sessions whose exposures are in memory at a time; each cell has one exposure per factor."""


def compute_exposures(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Add up the factor exposures of every portfolio and position on a range of sessions.

    Raises
    ------
    BatchError
        If the factors or snapshots of a session have not been computed, or the snapshots are out of date.
    """
    with database.transaction(lock=locks.PORTFOLIOS) as connection:
        require_factors(connection, sessions)
        valued = value_ledgers(connection, calendar, np.array(sessions, dtype="datetime64[D]"))
        _require_snapshots(connection, valued)
        report = write_exposures(connection, valued)
        if sessions[-1] == factors.newest_session(connection):
            portfolios.clear_stale(connection, valued.ledger.portfolio_id.tolist())
    return report


def _require_snapshots(connection: Connection, valued: ValuedPortfolios) -> None:
    """Require stored snapshots with the NAV of this valuation, since exposures divide by it."""
    nav, stored = snapshots.read_nav(connection, valued.sessions, valued.ledger.portfolio_id)
    if (valued.snapshots.started & ~stored).any() or (nav != valued.stored_nav).any():
        raise BatchError(
            "portfolio_snapshots is missing or older than the ledger or the prices",
            "Materialize portfolio_snapshots for the same sessions first",
        )


def write_exposures(connection: Connection, valued: ValuedPortfolios) -> StepReport:
    """Replace the exposures of some portfolios on the sessions on which they are valued, a block at a time."""
    ledger, lots, nav, started = valued.ledger, valued.lots, valued.stored_nav, valued.snapshots.started
    days = valued.sessions
    snapshots.delete_exposures(connection, days, ledger.portfolio_id)
    rows = position_rows = 0
    step = max(1, CELLS_PER_BLOCK // max(1, len(ledger.position_id)))
    for start in range(0, len(days), step):
        span = slice(start, start + step)
        block = PricedLots(lots.portfolio, lots.column, lots.eligible, lots.value[:, span], lots.priced[:, span])
        betas = factors.read_betas(connection, days[span], valued.price_ids)
        totals = factor_exposures(block, nav[:, span], betas)
        rows += snapshots.add_portfolio_exposures(connection, days[span], ledger.portfolio_id, totals, started[:, span])
        position_rows += snapshots.add_position_exposures(
            connection,
            days[span],
            ledger.portfolio_id[ledger.portfolio],
            ledger.position_id,
            position_exposures(block, nav[:, span], betas),
        )
        logger.info("wrote the exposures of %d of %d sessions", min(span.stop, len(days)), len(days))
    return StepReport(
        snapshots.PORTFOLIO_EXPOSURES,
        rows=rows,
        items=len(ledger.portfolio_id),
        rows_per_session=dict(zip(days.tolist(), (started.sum(axis=0) * len(FACTORS)).tolist(), strict=True)),
        coverage=mean_of_known(totals.coverage[:, -1]),
        notes={"position rows": position_rows},
    )

"""Write the snapshots and exposures of single portfolios, as the batch does for all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from closingbell.batch.portfolios import require_factors, value_ledgers
from closingbell.batch.step import WriteForPortfolios
from closingbell.batch.steps import onboarding_steps
from closingbell.market.calendar import SessionCalendar
from closingbell.repositories import factors, portfolios, snapshots
from closingbell.repositories.database import Connection, Database


def write_portfolios(
    database: Database, calendar: SessionCalendar, portfolio_ids: Sequence[int], timeout: timedelta | None = None
) -> None:
    """Write the rows of some portfolios on the newest computed session, and again on every session that has rows.

    Other transactions that change their ledgers wait until the rows are written. While the batch has not computed any
    session, the portfolios are left to it.

    Parameters
    ----------
    timeout : timedelta or None
        How long to wait while the batch writes portfolios; None: until it has ended.

    Raises
    ------
    BusyError
        If the batch still writes portfolios after the timeout.
    """
    with database.transaction() as connection:
        session = factors.newest_session(connection)
        if session is None:
            portfolios.clear_stale(connection, portfolio_ids)
            return
    with database.transaction() as connection:
        portfolios.lock(connection, portfolio_ids, timeout)
        require_factors(connection, [session])
        for sessions, members in _by_sessions(connection, portfolio_ids, session).items():
            valued = value_ledgers(connection, calendar, np.array(sessions, dtype="datetime64[D]"), members)
            for _, method in onboarding_steps(WriteForPortfolios):
                method.write(connection, valued)
        portfolios.clear_stale(connection, portfolio_ids)


def _by_sessions(
    connection: Connection, portfolio_ids: Sequence[int], session: date
) -> dict[tuple[date, ...], list[int]]:
    """Group the portfolios by the sessions to write: this one and those that already have a snapshot."""
    groups: dict[tuple[date, ...], list[int]] = {}
    written = snapshots.sessions_of(connection, portfolio_ids)
    for key in sorted(portfolio_ids):
        groups.setdefault(tuple(sorted({session, *written.get(key, ())})), []).append(key)
    return groups

"""Which work waits for an onboarding run."""

from __future__ import annotations

import logging

from closingbell.repositories import locks, portfolios, queue
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.queue import Waiting

logger = logging.getLogger("closingbell.onboarding")

ABANDONED_SECONDS = 5.0
"""A portfolio that has been stale for longer is taken for abandoned: the process that marked it has died."""


def pending_work(database: Database, connection: Connection) -> tuple[Waiting, list[int]]:
    """Return the waiting requests and the abandoned portfolios, after releasing the leases of runs that have died.

    Parameters
    ----------
    connection : Connection
        A transaction, or a connection that commits each statement.
    """
    dead = [run for run in queue.lease_holders(connection) if not database.is_leased(locks.run(run))]
    if queue.release(connection, dead):
        logger.warning("V2_ONBOARDING step=release dead_runs=%s", ",".join(dead) or "-")
    return queue.waiting(connection), abandoned_portfolios(connection)


def abandoned_portfolios(connection: Connection) -> list[int]:
    """Return the stale portfolios that no other process is about to write."""
    return portfolios.stale(connection, ABANDONED_SECONDS)

"""Write a portfolio's snapshots after a change of its ledger."""

from __future__ import annotations

import logging
from datetime import timedelta

from closingbell.batch.onboarding import write_portfolios
from closingbell.market.calendar import SessionCalendar
from closingbell.repositories.database import Database
from closingbell.repositories.portfolios import BusyError

logger = logging.getLogger("closingbell.onboarding")

WRITE_TIMEOUT = timedelta(seconds=3)
"""How long a request waits while the batch writes portfolios; an onboarding run writes the snapshots afterwards."""


def write_now(database: Database, calendar: SessionCalendar, portfolio_id: int) -> None:
    """Write the snapshots of a portfolio from the symbols known so far; if this fails, a later run writes them."""
    try:
        write_portfolios(database, calendar, [portfolio_id], WRITE_TIMEOUT)
    except BusyError:
        logger.info("V2_ONBOARDING step=portfolios status=postponed symbol=- portfolio_id=%d", portfolio_id)
    except Exception:
        # The ledger is stored and the portfolio marked as stale, so the request succeeds; the log has the cause.
        logger.exception("V2_ONBOARDING step=portfolios status=failed symbol=- portfolio_id=%d", portfolio_id)

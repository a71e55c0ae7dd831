"""Daily bars of stocks and funds."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from assets.onboarding import onboard_requested
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.prices import refresh_prices
from closingbell.batch.report import StepReport
from closingbell.install.settings import load_settings
from closingbell.operations.mode import Mode
from closingbell.repositories.database import Database
from resources import Market, Warehouse


@symbol_asset()
def prices(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Open, high, low, close and volume as traded, and the close adjusted for splits and dividends.

    Fetches the session, five before it and, for a symbol new to the plant, a year of history. Bars that cannot be
    true are refused and the reason is kept in `refused_bars`.
    """

    def step(database: Database, sessions: Sequence[date]) -> StepReport:
        if load_settings().mode is Mode.COMBINED:
            # Nobody else learns them in this mode.
            onboard_requested(context, warehouse, market)
        return refresh_prices(database, sessions, provider=market.provider(), calendar=market.calendar())

    return run_step(context, warehouse, market, step)

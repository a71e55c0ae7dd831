"""Daily bars of stocks and funds."""

import dagster as dg

from assets.onboarding import onboard_requested
from assets.steps import Materialized, run_step, step_asset
from closingbell.install.settings import load_settings
from closingbell.operations.mode import Mode
from resources import Market, Warehouse


@step_asset(code_version="1")
def prices(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Open, high, low, close and volume as traded, and the close adjusted for splits and dividends.

    Fetches the session, five before it and, for a new symbol, a year of history. Bars that cannot be true are refused;
    `refused_bars` keeps the reasons.
    """

    def onboard() -> None:
        # No other job onboards new symbols in the combined mode.
        if load_settings().mode is Mode.COMBINED:
            onboard_requested(context, warehouse, market)

    return run_step(context, warehouse, market, prepare=onboard)

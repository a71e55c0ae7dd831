"""Returns, risk and size of every symbol."""

import dagster as dg

from assets.company_profiles import company_profiles
from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices, company_profiles])
def symbol_metrics(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Total returns, realized volatility, 52-week range, dollar volume and drawdown of every stock and fund."""
    return run_step(context, warehouse, market)

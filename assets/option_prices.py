"""Daily bars of option contracts."""

import dagster as dg

from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices])
def option_prices(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Daily closes of the option contracts in the universe, until they expire.

    A day without a trade has no bar, which is not a failure.
    """
    return run_step(context, warehouse, market)

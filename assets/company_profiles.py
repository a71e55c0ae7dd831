"""Company profiles."""

import dagster as dg

from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices])
def company_profiles(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Name, sector, size and the provider's own beta of every stock and fund.

    Providers only know the present, so only the latest session is fetched. A past session keeps what was known then.
    """
    return run_step(context, warehouse, market)

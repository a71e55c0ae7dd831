"""Company profiles."""

import dagster as dg

from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices])
def company_profiles(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Name, sector, size and the provider's own beta of every stock and fund.

    Providers have today's profiles only, so they are fetched for the latest session and no other.
    """
    return run_step(context, warehouse, market)

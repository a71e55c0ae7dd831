"""Company profiles."""

from functools import partial

import dagster as dg

from assets.prices import prices
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.companies import refresh_profiles
from resources import Market, Warehouse


@symbol_asset(deps=[prices])
def company_profiles(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Name, sector, size and the provider's own beta of every stock and fund.

    A provider only knows the present, so only the latest session asks it. A past session keeps what was known then.
    """
    step = partial(refresh_profiles, provider=market.provider(), target=market.latest_session())
    return run_step(context, warehouse, market, step)

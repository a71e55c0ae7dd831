"""Quarterly statements."""

from functools import partial

import dagster as dg

from assets.company_profiles import company_profiles
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.companies import refresh_fundamentals
from resources import Market, Warehouse


@symbol_asset(deps=[company_profiles])
def fundamentals(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Income statements, balance sheets and cash flows of the companies whose statements are due.

    Due are companies never fetched, and those whose next earnings date passed three days ago or more.
    """
    step = partial(refresh_fundamentals, provider=market.provider(), target=market.latest_session())
    return run_step(context, warehouse, market, step)

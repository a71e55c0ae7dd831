"""Quarterly statements."""

import dagster as dg

from assets.company_profiles import company_profiles
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[company_profiles])
def fundamentals(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Income statements, balance sheets and cash flows of the companies whose statements are due.

    Statements are due when they have never been fetched, and three days after the next earnings date.
    """
    return run_step(context, warehouse, market)

"""Returns, risk and size of every symbol."""

from functools import partial

import dagster as dg

from assets.company_profiles import company_profiles
from assets.prices import prices
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.metrics import compute_metrics
from resources import Market, Warehouse


@symbol_asset(deps=[prices, company_profiles])
def symbol_metrics(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Total returns, realized volatility, 52-week range, dollar volume and drawdown of every stock and fund."""
    step = partial(compute_metrics, calendar=market.calendar())
    return run_step(context, warehouse, market, step)

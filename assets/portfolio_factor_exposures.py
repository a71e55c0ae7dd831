"""Factor exposures of portfolios and positions."""

from functools import partial

import dagster as dg

from assets.portfolio_snapshots import portfolio_snapshots
from assets.step import Materialized, portfolio_asset, run_step
from assets.symbol_factors import symbol_factors
from closingbell.batch.portfolios import compute_exposures
from resources import Market, Warehouse


@portfolio_asset(deps=[portfolio_snapshots, symbol_factors])
def portfolio_factor_exposures(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Exposure of every portfolio and position to every factor, with the betas of the same session."""
    step = partial(compute_exposures, calendar=market.calendar())
    return run_step(context, warehouse, market, step)

"""Factor exposures of portfolios and positions."""

import dagster as dg

from assets.portfolio_snapshots import portfolio_snapshots
from assets.steps import Materialized, run_step, step_asset
from assets.symbol_factors import symbol_factors
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[portfolio_snapshots, symbol_factors])
def portfolio_factor_exposures(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Exposure of every portfolio and position to every factor, with the betas of the same session."""
    return run_step(context, warehouse, market)

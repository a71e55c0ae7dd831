"""Portfolio snapshots."""

import dagster as dg

from assets.option_prices import option_prices
from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from assets.symbol_factors import symbol_factors
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices, option_prices, symbol_factors])
def portfolio_snapshots(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Net asset value, cash, exposures, P&L and concentration of every portfolio.

    Derived from the ledger and the prices alone, so that any session can be recomputed, in any order. NAV = cash +
    long + short, to the cent.
    """
    return run_step(context, warehouse, market)

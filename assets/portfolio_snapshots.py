"""Portfolio snapshots."""

from functools import partial

import dagster as dg

from assets.option_prices import option_prices
from assets.prices import prices
from assets.step import Materialized, portfolio_asset, run_step
from assets.symbol_factors import symbol_factors
from closingbell.batch.portfolios import compute_snapshots
from resources import Market, Warehouse


@portfolio_asset(deps=[prices, option_prices, symbol_factors])
def portfolio_snapshots(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Net asset value, cash, exposures, P&L and concentration of every portfolio.

    Derived from the ledger and the prices alone, so that any session can be computed again, in any order. NAV = cash +
    long + short, to the cent.
    """
    step = partial(compute_snapshots, calendar=market.calendar())
    return run_step(context, warehouse, market, step)

"""Daily bars of option contracts."""

from functools import partial

import dagster as dg

from assets.prices import prices
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.prices import refresh_option_prices
from resources import Market, Warehouse


@symbol_asset(deps=[prices])
def option_prices(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Daily closes of the option contracts that the universe follows, until they expire.

    A day on which nobody traded a contract has no bar, which is no failure.
    """
    step = partial(refresh_option_prices, provider=market.provider(), calendar=market.calendar())
    return run_step(context, warehouse, market, step)

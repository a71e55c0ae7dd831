"""Daily bars of stocks and funds."""

from functools import partial

import dagster as dg

from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.prices import refresh_prices
from resources import Market, Warehouse


@symbol_asset()
def prices(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Open, high, low, close and volume as traded, and the close adjusted for splits and dividends.

    Fetches the session, five before it and, for a symbol new to the plant, a year of history. Bars that cannot be
    true are refused and the reason is kept in `refused_bars`.
    """
    step = partial(refresh_prices, provider=market.provider(), calendar=market.calendar())
    return run_step(context, warehouse, market, step)

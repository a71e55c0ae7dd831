"""Factor betas of every symbol."""

from functools import partial

import dagster as dg

from assets.company_profiles import company_profiles
from assets.prices import prices
from assets.step import Materialized, run_step, symbol_asset
from closingbell.batch.factors import compute_factors
from resources import Market, Warehouse


@symbol_asset(deps=[prices, company_profiles])
def symbol_factors(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Thirteen factor betas of every stock and fund, with what each one rests on.

    One row per session, symbol and factor. A NULL beta with `insufficient_history` cannot be known; no row means not
    computed yet.
    """
    step = partial(compute_factors, calendar=market.calendar())
    return run_step(context, warehouse, market, step)

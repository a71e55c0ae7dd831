"""Factor betas of every symbol."""

import dagster as dg

from assets.company_profiles import company_profiles
from assets.prices import prices
from assets.steps import Materialized, run_step, step_asset
from resources import Market, Warehouse


@step_asset(code_version="1", deps=[prices, company_profiles])
def symbol_factors(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market) -> Materialized:
    """Thirteen factor betas of every stock and fund, with their standard errors, R² and observations.

    One row per session, symbol and factor. A NULL beta with `insufficient_history` cannot be estimated; no row means
    that it has not been computed yet.
    """
    return run_step(context, warehouse, market)

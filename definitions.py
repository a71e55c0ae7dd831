"""What Dagster loads: every asset, check, job and resource of the plant, and nothing else."""

import dagster as dg

from assets.checks import CHECKS, FRESHNESS_CHECKS
from assets.company_profiles import company_profiles
from assets.fundamentals import fundamentals
from assets.option_prices import option_prices
from assets.portfolio_factor_exposures import portfolio_factor_exposures
from assets.portfolio_snapshots import portfolio_snapshots
from assets.prices import prices
from assets.step import FRESHNESS_JOB, PORTFOLIO_REFRESH, SYMBOL_BATCH
from assets.symbol_factors import symbol_factors
from assets.symbol_metrics import symbol_metrics
from resources import Market, Warehouse
from schedules import SCHEDULES
from sensors import SENSORS

SYMBOL_ASSETS = [prices, option_prices, company_profiles, fundamentals, symbol_factors, symbol_metrics]
PORTFOLIO_ASSETS = [portfolio_snapshots, portfolio_factor_exposures]

FRESHNESS = dg.AssetSelection.checks(*FRESHNESS_CHECKS)

defs = dg.Definitions(
    assets=[*SYMBOL_ASSETS, *PORTFOLIO_ASSETS],
    asset_checks=[*CHECKS, *FRESHNESS_CHECKS],
    jobs=[
        dg.define_asset_job(
            SYMBOL_BATCH,
            # Whether a table is fresh says nothing about a batch of an older session.
            selection=dg.AssetSelection.assets(*SYMBOL_ASSETS) - FRESHNESS,
            description="Prices to factors, for every symbol.",
        ),
        dg.define_asset_job(
            PORTFOLIO_REFRESH,
            selection=dg.AssetSelection.assets(*PORTFOLIO_ASSETS) - FRESHNESS,
            description="Snapshots and exposures of every portfolio.",
        ),
        dg.define_asset_job(FRESHNESS_JOB, selection=FRESHNESS, description="Do the tables reach the latest session?"),
    ],
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={"warehouse": Warehouse(), "market": Market()},
    executor=dg.in_process_executor,
)

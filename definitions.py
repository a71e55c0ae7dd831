"""What Dagster loads: every asset, check, job, schedule, sensor and resource of the plant, and nothing else."""

import dagster as dg

from assets.checks import CHECKS, FRESHNESS_CHECKS
from assets.company_profiles import company_profiles
from assets.fundamentals import fundamentals
from assets.jobs import BATCH_JOBS, FRESHNESS, ONBOARDING_JOBS, RECORD_JOBS
from assets.option_prices import option_prices
from assets.portfolio_factor_exposures import portfolio_factor_exposures
from assets.portfolio_snapshots import portfolio_snapshots
from assets.prices import prices
from assets.step import FRESHNESS_JOB
from assets.symbol_factors import symbol_factors
from assets.symbol_metrics import symbol_metrics
from closingbell.install.settings import load_settings
from resources import Market, Warehouse
from schedules import schedules_of
from sensors import sensors_of

ASSETS = [
    prices,
    option_prices,
    company_profiles,
    fundamentals,
    symbol_factors,
    symbol_metrics,
    portfolio_snapshots,
    portfolio_factor_exposures,
]
MODE = load_settings().mode

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=[*CHECKS, *FRESHNESS_CHECKS],
    jobs=[
        *BATCH_JOBS,
        *ONBOARDING_JOBS,
        dg.define_asset_job(FRESHNESS_JOB, selection=FRESHNESS, description="Do the tables reach the latest session?"),
        *RECORD_JOBS,
    ],
    schedules=schedules_of(MODE),
    sensors=sensors_of(MODE),
    resources={"warehouse": Warehouse(), "market": Market()},
    executor=dg.in_process_executor,
)

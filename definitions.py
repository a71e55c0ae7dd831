"""What Dagster loads: every asset, check, job, schedule, sensor and resource of the plant, and nothing else."""

import dagster as dg

import assets
from assets.checks import CHECKS
from assets.jobs import JOBS
from closingbell.install.settings import load_settings
from resources import AlertChannel, Market, Warehouse
from schedules import schedules_of
from sensors import sensors_of

MODE = load_settings().mode

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(assets),
    asset_checks=CHECKS,
    jobs=JOBS,
    schedules=schedules_of(MODE),
    sensors=sensors_of(MODE),
    resources={"warehouse": Warehouse(), "market": Market(), "alert_channel": AlertChannel()},
    executor=dg.in_process_executor,
)

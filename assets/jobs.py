"""The jobs of the mode that the settings choose."""

from typing import Any

import dagster as dg

from assets.checks import STANDING_CHECKS
from assets.daily_jobs import DAILY_JOBS
from assets.onboarding import symbol_onboarding
from closingbell.batch.steps import step_names
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import STANDING_CHECKS_JOB, batches
from closingbell.operations.mode import Mode

_STANDING = dg.AssetSelection.checks(*STANDING_CHECKS)

BATCH_JOBS: list[Any] = [
    # Without the standing checks: they cover the latest session, whichever sessions a batch computes.
    dg.define_asset_job(
        job.value,
        selection=dg.AssetSelection.assets(*step_names(job)) - _STANDING,
        description=f"Materializes {', '.join(step_names(job))}.",
    )
    for job in batches(load_settings().mode)
]

JOBS: list[Any] = [
    *BATCH_JOBS,
    *([symbol_onboarding] if load_settings().mode is Mode.INSTANT else []),
    *DAILY_JOBS,
    dg.define_asset_job(
        STANDING_CHECKS_JOB,
        selection=_STANDING,
        description="Checks that the tables reach the latest session and that no partition has failed.",
    ),
]

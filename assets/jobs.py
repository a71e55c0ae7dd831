"""The jobs: the batches of the mode, and what the plant learns and records about itself."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import dagster as dg

from assets.checks import FRESHNESS_CHECKS
from assets.onboarding import symbol_onboarding
from assets.records import recorded
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import STEPS, JobType, batches
from closingbell.operations.mode import Mode
from closingbell.repositories import aliases, usage
from closingbell.repositories.database import Connection
from resources.retention import delete_old_runs
from resources.tracker import DAY_TAG
from resources.warehouse import Warehouse

FRESHNESS = dg.AssetSelection.checks(*FRESHNESS_CHECKS)

REQUESTS_KEPT = timedelta(days=30)

BATCH_JOBS = [
    # Whether a table is fresh says nothing about a batch of an older session.
    dg.define_asset_job(job.value, selection=dg.AssetSelection.assets(*STEPS[job]) - FRESHNESS)
    for job in batches(load_settings().mode)
]
ONBOARDING_JOBS = [symbol_onboarding] if load_settings().mode is Mode.INSTANT else []


def _recorded(
    context: dg.OpExecutionContext, warehouse: Warehouse, job: JobType, work: Callable[[Connection, date], int]
) -> None:
    """Do a job of one transaction for the day it was started for."""
    given = context.run.tags.get(DAY_TAG)
    day = date.fromisoformat(given) if given else runtime.planning_now().astimezone(NEW_YORK).date()

    def in_transaction() -> tuple[int, dict[str, str]]:
        with warehouse.open().transaction() as connection:
            return work(connection, day), {}

    recorded(context, warehouse, job, day, in_transaction)


@dg.op(pool=JobType.FEEDBACK_LEARNING.value)
def derive_aliases(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Learn which tickers users mean by others: a correction that three portfolios agree on becomes an alias."""
    _recorded(
        context, warehouse, JobType.FEEDBACK_LEARNING, lambda connection, _day: aliases.derive_aliases(connection)
    )


@dg.op(pool=JobType.ADMIN_METRICS.value)
def record_metrics(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Write yesterday's figures, and forget raw rows and old runs whose time is over."""

    def work(connection: Connection, day: date) -> int:
        midnight = datetime.combine(day, time(), NEW_YORK)
        usage.delete_requests(connection, midnight - REQUESTS_KEPT)
        return usage.collect_metrics(connection, day - timedelta(days=1))

    _recorded(context, warehouse, JobType.ADMIN_METRICS, work)
    context.log.info("deleted %d old runs", delete_old_runs(context.instance, runtime.now()))


@dg.job(executor_def=dg.in_process_executor)
def feedback_learning() -> None:
    """Learns aliases of tickers from users' corrections."""
    derive_aliases()


@dg.job(executor_def=dg.in_process_executor)
def admin_metrics() -> None:
    """Figures of yesterday, and retention."""
    record_metrics()


RECORD_JOBS = [feedback_learning, admin_metrics]

"""The jobs: the batches of the mode, and what the plant learns and records about itself."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from time import monotonic

import dagster as dg

from assets.checks import FRESHNESS_CHECKS
from closingbell import runtime
from closingbell.calendar import NEW_YORK
from closingbell.jobs import STEPS, JobType, batches
from closingbell.repositories import history, records
from closingbell.repositories.database import Connection
from closingbell.repositories.history import Story
from closingbell.settings import load_settings
from resources.retention import delete_old_runs
from resources.tracker import DAY_TAG, trigger_of
from resources.warehouse import Warehouse

FRESHNESS = dg.AssetSelection.checks(*FRESHNESS_CHECKS)

REQUESTS_KEPT = timedelta(days=30)

BATCH_JOBS = [
    # Whether a table is fresh says nothing about a batch of an older session.
    dg.define_asset_job(job.value, selection=dg.AssetSelection.assets(*STEPS[job]) - FRESHNESS)
    for job in batches(v2=load_settings().batch_v2_enabled)
]


def _recorded(
    context: dg.OpExecutionContext, warehouse: Warehouse, job: JobType, work: Callable[[Connection, date], int]
) -> None:
    """Do a job that works on a day, and keep its story."""
    given = context.run.tags.get(DAY_TAG)
    day = date.fromisoformat(given) if given else runtime.planning_now().astimezone(NEW_YORK).date()
    database, story = warehouse.open(), Story(job, [day], context.run.run_id)
    began = monotonic()
    with database.transaction() as connection:
        history.begin(connection, story, trigger_of(context.run.tags), runtime.now())
    try:
        with database.transaction(lock=job) as connection:
            items = work(connection, day)
    except Exception as error:
        with database.transaction() as connection:
            history.fail(connection, story, runtime.now(), str(error))
        raise
    elapsed = round((monotonic() - began) * 1000)
    with database.transaction() as connection:
        history.record_step(connection, story, step=job.value, duration_ms=elapsed, items=items, failed={})
        history.finish(connection, story, runtime.now(), steps=[job.value])
    context.log.info("%s: %d items of %s", job, items, day)


@dg.op(pool=JobType.FEEDBACK_LEARNING.value)
def learn_aliases(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Learn which tickers users mean by others: a correction that three portfolios agree on becomes an alias."""
    _recorded(context, warehouse, JobType.FEEDBACK_LEARNING, lambda connection, _day: records.learn_aliases(connection))


@dg.op(pool=JobType.ADMIN_METRICS.value)
def record_metrics(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Write yesterday's figures, and forget raw rows and old runs whose time is over."""

    def work(connection: Connection, day: date) -> int:
        midnight = datetime.combine(day, time(), NEW_YORK)
        records.delete_requests(connection, midnight - REQUESTS_KEPT)
        return records.collect_metrics(connection, day - timedelta(days=1))

    _recorded(context, warehouse, JobType.ADMIN_METRICS, work)
    context.log.info("deleted %d old runs", delete_old_runs(context.instance, runtime.now()))


@dg.job(executor_def=dg.in_process_executor)
def feedback_learning() -> None:
    """Learns aliases of tickers from users' corrections."""
    learn_aliases()


@dg.job(executor_def=dg.in_process_executor)
def admin_metrics() -> None:
    """Figures of yesterday, and retention."""
    record_metrics()


RECORD_JOBS = [feedback_learning, admin_metrics]

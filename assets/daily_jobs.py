"""The small daily jobs: aliases from users' corrections, yesterday's figures, and retention."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import dagster as dg

from assets.run_record import recorded
from closingbell.install import runtime
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import STANDING_CHECKS_JOB, JobType
from closingbell.repositories import aliases, usage
from closingbell.repositories.database import Connection
from resources import Warehouse
from resources.jobs import DAY_TAG

REQUESTS_KEPT = timedelta(days=30)
RUNS_KEPT = timedelta(days=90)

MAX_DELETED = 1_000
"""Runs of a job deleted at a time; the next day continues."""


def _daily(
    context: dg.OpExecutionContext, warehouse: Warehouse, job: JobType, work: Callable[[Connection, date], int]
) -> None:
    """Do the work of a job in one transaction, for the day of the schedule's tick, or else for today."""
    tag = context.run.tags.get(DAY_TAG)
    day = date.fromisoformat(tag) if tag else runtime.planning_now().astimezone(NEW_YORK).date()

    def in_transaction() -> tuple[int, dict[str, str]]:
        with warehouse.open().transaction() as connection:
            return work(connection, day), {}

    recorded(context, warehouse, job, day, in_transaction)


@dg.op(pool=JobType.FEEDBACK_LEARNING.value)
def derive_aliases(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Derive aliases of tickers: a correction that three portfolios agree on becomes one."""
    _daily(context, warehouse, JobType.FEEDBACK_LEARNING, lambda connection, _day: aliases.derive_aliases(connection))


@dg.op(pool=JobType.ADMIN_METRICS.value)
def record_metrics(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Write yesterday's figures, and delete raw rows and runs past their retention."""

    def work(connection: Connection, day: date) -> int:
        midnight = datetime.combine(day, time(), NEW_YORK)
        usage.delete_requests(connection, midnight - REQUESTS_KEPT)
        return usage.collect_metrics(connection, day - timedelta(days=1))

    _daily(context, warehouse, JobType.ADMIN_METRICS, work)
    context.log.info("deleted %d old runs", _delete_old_runs(context.instance, runtime.now()))


def _delete_old_runs(instance: dg.DagsterInstance, now: datetime) -> int:
    """Delete old runs that hold no materialization; return how many. Dagster's own retention covers ticks only.

    The runs of the batches stay: Dagster deletes the events of a run with it, and these record which partitions are
    materialized.
    """
    jobs = (JobType.FEEDBACK_LEARNING.value, JobType.ADMIN_METRICS.value, STANDING_CHECKS_JOB)
    filters = [dg.RunsFilter(job_name=job, created_before=now - RUNS_KEPT) for job in jobs]
    old = [run for one_job in filters for run in instance.get_runs(one_job, limit=MAX_DELETED)]
    for run in old:
        instance.delete_run(run.run_id)
    return len(old)


@dg.job(executor_def=dg.in_process_executor)
def feedback_learning() -> None:
    """Derives aliases of tickers from users' corrections."""
    derive_aliases()


@dg.job(executor_def=dg.in_process_executor)
def admin_metrics() -> None:
    """Writes yesterday's figures and applies retention."""
    record_metrics()


DAILY_JOBS = [feedback_learning, admin_metrics]

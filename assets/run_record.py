"""The run record of jobs that work on a day, not on sessions."""

from collections.abc import Callable, Mapping
from datetime import date
from time import monotonic

import dagster as dg

from closingbell.install import runtime
from closingbell.operations.jobs import JobType
from closingbell.repositories import run_records
from closingbell.repositories.run_records import RunRecord
from resources import Warehouse
from resources.jobs import trigger_of


def recorded(
    context: dg.OpExecutionContext,
    warehouse: Warehouse,
    job: JobType,
    day: date,
    work: Callable[[], tuple[int, Mapping[str, str]]],
) -> None:
    """Do the work of a job, and write its run record.

    Parameters
    ----------
    work : callable
        Returns how many items it has processed, and the reason for each item that failed.
    """
    database, record = warehouse.open(), RunRecord(job, [day], context.run.run_id)
    began = monotonic()
    with database.transaction() as connection:
        run_records.begin(connection, record, trigger_of(context.run.tags), runtime.now())
    try:
        items, failed = work()
    except Exception as error:
        with database.transaction() as connection:
            run_records.fail(connection, record, runtime.now(), str(error))
        raise
    elapsed = round((monotonic() - began) * 1000)
    with database.transaction() as connection:
        run_records.record_step(connection, record, step=job.value, duration_ms=elapsed, items=items, failed=failed)
        run_records.finish(connection, record, runtime.now(), steps=[job.value])
    context.log.info("%s: %d items of %s, %d failed", job, items, day, len(failed))

"""How a job that works on a day, not on sessions, keeps its story."""

from collections.abc import Callable, Mapping
from datetime import date
from time import monotonic

import dagster as dg

from closingbell.install import runtime
from closingbell.operations.jobs import JobType
from closingbell.repositories import history
from closingbell.repositories.history import Story
from resources.tracker import trigger_of
from resources.warehouse import Warehouse


def recorded(
    context: dg.OpExecutionContext,
    warehouse: Warehouse,
    job: JobType,
    day: date,
    work: Callable[[], tuple[int, Mapping[str, str]]],
) -> None:
    """Do the work, which returns how many items it had and why some of them failed, and tell the history."""
    database, story = warehouse.open(), Story(job, [day], context.run.run_id)
    began = monotonic()
    with database.transaction() as connection:
        history.begin(connection, story, trigger_of(context.run.tags), runtime.now())
    try:
        items, failed = work()
    except Exception as error:
        with database.transaction() as connection:
            history.fail(connection, story, runtime.now(), str(error))
        raise
    elapsed = round((monotonic() - began) * 1000)
    with database.transaction() as connection:
        history.record_step(connection, story, step=job.value, duration_ms=elapsed, items=items, failed=failed)
        history.finish(connection, story, runtime.now(), steps=[job.value])
    context.log.info("%s: %d items of %s, %d failed", job, items, day, len(failed))

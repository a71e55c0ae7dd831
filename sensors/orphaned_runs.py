"""Ends runs that Dagster believes to be running although their process has died.

Dagster's default launcher does not notice when a machine, or a run's process together with its code server, goes
away: such a run would keep its place in the pool for hours, and every run behind it would wait.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import sleep

import dagster as dg

from closingbell.install import runtime
from closingbell.repositories import locks, run_records
from closingbell.repositories.database import LEASE_CHECK_SECONDS, Database
from resources import Warehouse

GRACE = timedelta(seconds=10)
"""A run takes its lease a moment after Dagster has marked it as started."""

SECOND_CHECK_SECONDS = 3 * LEASE_CHECK_SECONDS
"""By then a living run has taken its lease again, if a restart of the database had freed it."""

VERIFY_FOR = timedelta(hours=1)
"""How long after its end a run's record is still compared with Dagster's."""

DIED = "the process of the run has died"


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def orphaned_runs(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SkipReason:
    """End the runs whose process has died, so that the runs behind them can start."""
    ended = end_orphans(context.instance, warehouse.open(), runtime.now())
    return dg.SkipReason(f"ended {', '.join(ended)}" if ended else "every running run has a process")


def end_orphans(
    instance: dg.DagsterInstance, database: Database, now: datetime, pause: Callable[[float], None] = sleep
) -> list[str]:
    """End the runs whose process has died, and close run records that no run works on; return the runs ended.

    Parameters
    ----------
    pause : callable
        Waits for a number of seconds before suspects are checked a second time.
    """
    ended = []
    if suspects := _without_process(instance, database, now):
        pause(SECOND_CHECK_SECONDS)
        for run_id, run in _without_process(instance, database, now).items():
            if run_id in suspects:
                instance.report_run_failed(run, DIED)
                ended.append(run_id)
    _close_records(instance, database, now)
    return ended


def _without_process(instance: dg.DagsterInstance, database: Database, now: datetime) -> dict[str, dg.DagsterRun]:
    started = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return {
        record.dagster_run.run_id: record.dagster_run
        for record in started
        if now - record.update_timestamp > GRACE and not database.is_leased(locks.run(record.dagster_run.run_id))
    }


def _close_records(instance: dg.DagsterInstance, database: Database, now: datetime) -> None:
    """Bring run records in line with Dagster: a run may die, be canceled, or fail by a check after its last step."""
    with database.transaction() as connection:
        for run_id in run_records.runs_to_verify(connection, now - VERIFY_FOR):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_failure:
                reason = DIED if run is None else _failure_of(instance, run)
                run_records.end_run(connection, run_id, run_records.FAILED, now, reason)
            elif run.status is dg.DagsterRunStatus.CANCELED:
                run_records.end_run(connection, run_id, run_records.CANCELED, now, "the run was canceled")
            elif run.is_success:
                run_records.complete_run(connection, run_id, now)


def _failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return why a run has failed although its steps have not recorded a failure."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    event = records[-1].event_log_entry.dagster_event if records else None
    return event.message.splitlines()[0] if event and event.message else DIED

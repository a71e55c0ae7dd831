"""Runs that Dagster believes to be underway although the process that worked on them has died.

Dagster's default launcher does not notice when a machine, or a run's process together with its code server, goes
away: such a run would keep its place in the pool for hours, and everything behind it would wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from time import sleep

import dagster as dg

from closingbell.repositories import locks, run_records
from closingbell.repositories.database import LEASE_CHECK_SECONDS, Database

GRACE = timedelta(seconds=10)
"""A run takes its lease a moment after Dagster has marked it as started."""

SECOND_LOOK_SECONDS = 3 * LEASE_CHECK_SECONDS
"""Who lives has taken its lease again by then if a restart of the database had freed it."""

VERIFIED = timedelta(hours=1)
"""How long after its end a run is looked at once more."""

DIED = "the process that worked on it has died"


def end_orphans(instance: dg.DagsterInstance, database: Database, now: datetime) -> list[str]:
    """End the runs whose process has died, and close the stories that no run works on; return the runs ended."""
    ended = []
    if suspects := _without_process(instance, database, now):
        sleep(SECOND_LOOK_SECONDS)
        for run_id, run in _without_process(instance, database, now).items():
            if run_id in suspects:
                instance.report_run_failed(run, DIED)
                ended.append(run_id)
    _close_stories(instance, database, now)
    return ended


def _without_process(instance: dg.DagsterInstance, database: Database, now: datetime) -> dict[str, dg.DagsterRun]:
    started = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return {
        record.dagster_run.run_id: record.dagster_run
        for record in started
        if now - record.update_timestamp > GRACE and not database.is_leased(locks.run(record.dagster_run.run_id))
    }


def _close_stories(instance: dg.DagsterInstance, database: Database, now: datetime) -> None:
    """Make the history say of each run what Dagster says: a run may die, be canceled, or fail by a check at its end."""
    with database.transaction() as connection:
        for run_id in run_records.runs_to_verify(connection, now - VERIFIED):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_failure:
                run_records.end_run(
                    connection, run_id, run_records.FAILED, now, DIED if run is None else _reason(instance, run)
                )
            elif run.status is dg.DagsterRunStatus.CANCELED:
                run_records.end_run(connection, run_id, run_records.CANCELED, now, "somebody has canceled the run")
            elif run.is_success:
                run_records.complete_run(connection, run_id, now)


def _reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return why a run has failed although its steps could not tell."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    event = records[-1].event_log_entry.dagster_event if records else None
    return event.message.splitlines()[0] if event and event.message else DIED

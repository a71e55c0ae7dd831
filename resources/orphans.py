"""Runs that Dagster believes to be underway although the process that worked on them has died.

Dagster's default launcher does not notice when a machine, or a run's process together with its code server, goes
away: such a run would keep its place in the pool for hours, and everything behind it would wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg

from closingbell.repositories import history
from closingbell.repositories.database import Database
from resources.warehouse import lease_of

GRACE = timedelta(seconds=10)
"""A run takes its lease a moment after Dagster has marked it as started."""

DIED = "the process that worked on it has died"


def end_orphans(instance: dg.DagsterInstance, database: Database, now: datetime) -> list[str]:
    """End the runs whose process has died, and close the stories that no run works on; return the runs ended."""
    started = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    ended = []
    for record in started:
        run = record.dagster_run
        if now - record.update_timestamp > GRACE and not database.is_leased(lease_of(run.run_id)):
            instance.report_run_failed(run, DIED)
            ended.append(run.run_id)
    _close_stories(instance, database, now)
    return ended


def _close_stories(instance: dg.DagsterInstance, database: Database, now: datetime) -> None:
    with database.transaction() as connection:
        for run_id in history.runs_underway(connection):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_failure:
                history.end_run(connection, run_id, "failed", now, DIED)
            elif run.status is dg.DagsterRunStatus.CANCELED:
                history.end_run(connection, run_id, "canceled", now, "somebody has canceled the run")

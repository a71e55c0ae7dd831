"""An install whose jobs run in the test's own process, on Dagster's storage in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
from plant import this_process_on
from sqlalchemy import text

from closingbell.repositories.database import Database
from definitions import defs
from resources.tracker import RANGE_END, RANGE_START


@dataclass(frozen=True)
class Plant:
    """An install of its own: Dagster's instance and the product's database."""

    instance: dg.DagsterInstance
    database: Database

    def execute(self, job: str, start: date, end: date) -> dg.ExecuteInProcessResult:
        """Run a job for a range of sessions."""
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags={RANGE_START: str(start), RANGE_END: str(end)}, raise_on_error=False
        )

    def run_records(self) -> list[tuple[str, date, str, list[str]]]:
        """Return job type, session, status and reasons of the whole history."""
        query = "SELECT job_type, session, status, failed_items FROM batch_run_history ORDER BY 1, 2"
        with self.database.transaction() as connection:
            return [
                (row.job_type, row.session, row.status, [item["reason"] for item in row.failed_items])
                for row in connection.execute(text(query))
            ]


@contextmanager
def plant_in(folder: Path, database: Database, **variables: str) -> Iterator[Plant]:
    """Make this process an install with a Dagster of its own, as long as the block lasts."""
    with this_process_on(folder, database, **variables):
        Database(os.environ["DAGSTER_STORAGE_URL"]).create()
        with dg.DagsterInstance.get() as instance:
            yield Plant(instance, database)

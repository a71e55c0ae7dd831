"""An install whose jobs run in the test's own process, on Dagster's storage in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
from plant import LAST, this_process_on
from sqlalchemy import text

from closingbell.install import runtime
from closingbell.repositories import run_records
from closingbell.repositories.database import Database
from closingbell.repositories.run_records import RunRecord
from definitions import defs
from resources import AlertChannel, Market, Warehouse
from resources.jobs import range_tags


@dataclass(frozen=True)
class Plant:
    """An install of its own: Dagster's instance and the product's database."""

    instance: dg.DagsterInstance
    database: Database

    def execute(self, job: str, start: date, end: date) -> dg.ExecuteInProcessResult:
        """Run a job for a range of sessions."""
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=range_tags([start, end]), raise_on_error=False
        )

    def run_records(self) -> list[tuple[str, date, str, list[str]]]:
        """Return job type, session, status and reasons of every run record."""
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


def evaluate_sensor(plant: Plant, name: str, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str]:
    """Evaluate a sensor of the definitions as the daemon does; return its requests, its reason and its cursor."""
    sensor = next(sensor for sensor in defs.sensors or () if sensor.name == name)
    resources = {"market": Market(), "warehouse": Warehouse(), "alert_channel": AlertChannel()}
    with dg.build_sensor_context(
        instance=plant.instance, cursor=cursor, resources=resources, definitions=defs
    ) as context:
        tick = sensor.evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message or "", tick.cursor or ""


def start_run(plant: Plant) -> dg.DagsterRun:
    """Record a run as started, as a process does before it works."""
    run = plant.instance.create_run_for_job(defs.resolve_job_def("symbol_batch"), status=dg.DagsterRunStatus.STARTED)
    with plant.database.transaction() as connection:
        run_records.begin(connection, RunRecord("symbol_batch", [LAST], run.run_id), "test", runtime.now())
    return run

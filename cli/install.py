"""Prepare an install: its folders, databases, tables and first rows, and the environment of Dagster's processes."""

from __future__ import annotations

import os
import shutil

from closingbell.install import runtime, seeding
from closingbell.install.seeding import Seeded
from closingbell.install.settings import ROOT, Settings
from closingbell.repositories import schema
from closingbell.repositories.database import Database

DAGSTER_ENVIRONMENT = {
    # Without batches, a run over many partitions spends most of its time storing events one by one.
    "DAGSTER_EVENT_BATCH_SIZE": "500",
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
}


def prepare(settings: Settings) -> None:
    """Start the embedded database if it is used, and set the environment of Dagster and all child processes.

    Call it before dagster is imported, since dagster reads some of these variables as it loads.
    """
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "deploy" / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    os.environ.update(
        DAGSTER_ENVIRONMENT,
        DAGSTER_HOME=str(settings.dagster_home),
        DATABASE_URL=runtime.warehouse_url(settings),
        DAGSTER_STORAGE_URL=runtime.dagster_storage_url(settings),
    )
    # Without byte code every run would compile all of dagster and pandas again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def initialise() -> Seeded:
    """Create both databases, bring the tables up to date, and write the first rows of a new install."""
    database = runtime.open_database()
    database.create()
    Database(os.environ["DAGSTER_STORAGE_URL"]).create()
    schema.upgrade(database)
    return seeding.seed(database, runtime.open_provider(), runtime.trading_calendar(), runtime.latest_session())


def require_initialised() -> None:
    """Raise an error that says what to do if `initialise` has not been called."""
    database = runtime.open_database()
    if not database.exists():
        raise schema.not_initialised()
    with database.transaction() as connection:
        schema.require_current(connection)

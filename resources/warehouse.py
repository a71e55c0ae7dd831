"""The product's database as a Dagster resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from closingbell import runtime
from closingbell.repositories.database import Database


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL database that the settings name; the embedded one is started at first use."""

    def open(self) -> Database:
        """Return the database."""
        return runtime.open_database()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
        """Hold the run's lease as long as its process works, so that a dead run can be told from a slow one."""
        if context.run is None:
            yield self
            return
        with self.open().lease(lease_of(context.run.run_id)):
            yield self


def lease_of(run_id: str) -> str:
    """Return the name of the lease that the process of a run holds."""
    return f"run {run_id}"

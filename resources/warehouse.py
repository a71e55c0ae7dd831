"""The product's database as a Dagster resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from closingbell.install import runtime
from closingbell.operations.jobs import EXCLUDES
from closingbell.repositories import locks
from closingbell.repositories.database import Database
from resources.jobs import types_of


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL database that the settings name; the embedded one is started at first use."""

    def open(self) -> Database:
        """Return the database."""
        return runtime.open_database()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
        """Hold the run's lease while its process works, so that a dead run can be distinguished from a slow one.

        Then wait until no other run of the same job type works: Dagster's pools hold back only the runs that go through
        its queue.
        """
        if context.run is None:
            yield self
            return
        database, jobs = self.open(), sorted({other for job in types_of(context.run) for other in EXCLUDES[job]})
        with ExitStack() as stack:
            for name in (locks.run(context.run.run_id), *(locks.job(job) for job in jobs)):
                stack.enter_context(database.lease(name))
            yield self

"""Starts the onboarding of symbols as they are requested."""

from __future__ import annotations

from time import monotonic

import dagster as dg

from assets.onboarding import symbol_onboarding
from closingbell.batch.onboarding import pending_work
from closingbell.install import runtime
from closingbell.operations.jobs import JobType
from closingbell.repositories.queue import Listener
from resources import Warehouse
from resources.jobs import JobReader

TICK_SECONDS = 5.2
"""The daemon evaluates sensors every 5 s. A tick lasts a little longer, so that the next one follows at once."""

POLL_SECONDS = 0.5
"""How often the queue is read while an active or failed run delays the next one."""


@dg.sensor(job_name=symbol_onboarding.name, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def new_symbols(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.RunRequest | dg.SkipReason:
    """Start a run as soon as a symbol is requested; until then, the tick listens to the database.

    It reads the queue before it waits, so no request is lost while no tick listens. Its runs have no run key: after a
    failure another run must be able to start, and leases keep two runs from taking the same request.
    """
    database, until = warehouse.open(), monotonic() + TICK_SECONDS
    reader = JobReader(context.instance)
    with database.session() as connection:
        listener = Listener(connection)
        while True:
            waiting, stale = pending_work(database, connection)
            pause = waiting.next_due if waiting.next_due and waiting.next_due > 0 else TICK_SECONDS
            reason = f"{waiting.open} symbols wait for their next attempt" if waiting.open else "no symbol is requested"
            if waiting.due or stale:
                reason = _reason_to_wait(reader, symbols_due=waiting.due > 0)
                if not reason:
                    return dg.RunRequest()
                pause = POLL_SECONDS
            left = until - monotonic()
            if left <= 0:
                return dg.SkipReason(reason)
            listener.wait(min(left, pause))


def _reason_to_wait(reader: JobReader, *, symbols_due: bool) -> str:
    """Return why no run may start now, or an empty string."""
    active = reader.active_job(JobType.SYMBOL_ONBOARDING)
    if active is not None:
        return f"run {active.run_id} is active"
    # Requests have attempts of their own; portfolios that cannot be written must not start run after run.
    if not symbols_due and reader.has_just_failed(JobType.SYMBOL_ONBOARDING, runtime.now()):
        return "the last run has just failed"
    return ""

"""Starts the onboarding of symbols that have just been asked for."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

import dagster as dg

from assets.onboarding import symbol_onboarding
from closingbell.batch.onboarding import pending_work
from closingbell.install import runtime
from closingbell.repositories.queue import Listener
from resources.tracker import ACTIVE
from resources.warehouse import Warehouse

TICK_SECONDS = 5.2
"""The daemon begins a round of sensors every 5 s: after a tick a little longer than that, the next begins at once."""

POLL_SECONDS = 0.5
"""While a run is underway that may take what is due, or is about to end."""

PAUSE_AFTER_FAILURE = timedelta(minutes=5)
"""Portfolios that cannot be written are no reason to start run after run."""


@dg.sensor(job_name=symbol_onboarding.name, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def new_symbols(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.RunRequest | dg.SkipReason:
    """Start a run as soon as a symbol has been asked for; the tick listens to the database meanwhile.

    It reads the queue before it waits, so nothing is lost that was asked for while nobody listened. There is no run
    key: a run that failed must be able to run again, and two runs could not take the same request, which is leased.
    """
    database, until = warehouse.open(), monotonic() + TICK_SECONDS
    with database.session() as connection:
        listener = Listener(connection)
        while True:
            waiting, stale = pending_work(database, connection)
            pause = waiting.next_due if waiting.next_due and waiting.next_due > 0 else TICK_SECONDS
            reason = f"{waiting.open} symbols wait for their next attempt" if waiting.open else "nothing is asked for"
            if waiting.due or stale:
                reason = _why_not(context.instance, symbols=waiting.due > 0)
                if not reason:
                    return dg.RunRequest()
                pause = POLL_SECONDS
            left = until - monotonic()
            if left <= 0:
                return dg.SkipReason(reason)
            listener.wait(min(left, pause))


def _why_not(instance: dg.DagsterInstance, *, symbols: bool) -> str:
    """Return why no run should start now, or nothing."""
    active = instance.get_run_records(dg.RunsFilter(job_name=symbol_onboarding.name, statuses=ACTIVE), limit=1)
    if active:
        return f"run {active[0].dagster_run.run_id} is underway"
    last = next(iter(instance.get_run_records(dg.RunsFilter(job_name=symbol_onboarding.name), limit=1)), None)
    if symbols or last is None or not last.dagster_run.is_failure:
        return ""
    return "" if runtime.now() - last.update_timestamp > PAUSE_AFTER_FAILURE else "the last run has failed just now"

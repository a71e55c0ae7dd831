"""Tells people what the night has left behind, each thing once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import dagster as dg

from closingbell.analytics.freshness import measure_freshness
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.alerts import Alert, batch_alerts, behind_alert, late_alert, onboarding_alert
from closingbell.operations.jobs import DUE, JobType, batches
from closingbell.operations.planning import START_PATIENCE, last_due
from closingbell.repositories import queue, run_records
from closingbell.repositories.database import Connection
from resources.alerting import send
from resources.market import Market
from resources.progress import unfinished
from resources.tracker import ACTIVE, types_of
from resources.warehouse import Warehouse

MEMORY = timedelta(days=2)
"""How far back the sensor looks, and how long it remembers what it has sent."""

DONE_BY = timedelta(minutes=90)
"""After its time a symbol batch has brought the prices."""


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts(context: dg.SensorEvaluationContext, warehouse: Warehouse, market: Market) -> dg.SkipReason:
    """Send what is worth waking somebody for: late and failed batches, many failed items, data that lag behind."""
    moment = runtime.planning_now()
    with warehouse.open().transaction() as connection:
        found = list(_found(context.instance, connection, market, moment))
    sent: dict[str, str] = json.loads(context.cursor or "{}")
    arrived = send([alert for alert in found if alert.key not in sent], load_settings().alert_webhook)
    kept = {key: at for key, at in sent.items() if datetime.fromisoformat(at) > moment - 2 * MEMORY}
    context.update_cursor(json.dumps(kept | {alert.key: moment.isoformat() for alert in arrived}))
    return dg.SkipReason(f"sent {len(arrived)} of {len(found)} alerts; the others had been sent before")


def _found(instance: dg.DagsterInstance, connection: Connection, market: Market, moment: datetime) -> Iterator[Alert]:
    yield from batch_alerts(run_records.since(connection, moment - MEMORY))
    today = moment.astimezone(NEW_YORK).date()
    onboarding = onboarding_alert(queue.settled_since(connection, datetime.combine(today, time(), NEW_YORK)), today)
    if onboarding is not None:
        yield onboarding
    calendar, mode = market.calendar(), load_settings().mode
    expected = market.latest_session(last_due(calendar, moment - DONE_BY, DUE[JobType.SYMBOL_BATCH]))
    fresh = measure_freshness(connection, calendar, expected=expected, now=moment)
    if fresh.as_of is None:
        return  # a new install, whose first batch people start
    active = {
        job
        for record in instance.get_run_records(dg.RunsFilter(statuses=ACTIVE))
        for job in types_of(record.dagster_run)
    }
    # The portfolio refresh has a patience of its own, and its end is a failure.
    for job in (job for job in batches(mode) if job is not JobType.PORTFOLIO_REFRESH):
        due = last_due(calendar, moment, DUE[job])
        target = market.latest_session(due)
        record = run_records.find(connection, job, target)
        started = job in active or (record is not None and record.started_at >= due)
        if moment - due >= START_PATIENCE and not started and target in unfinished(instance, calendar, job, target):
            yield late_alert(job, due, target)
    behind = behind_alert(expected, fresh.as_of, fresh.sessions_behind)
    if behind is not None:
        yield behind

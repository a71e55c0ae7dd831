"""Alerts the operator to each problem, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import dagster as dg

from closingbell.batch.steps import step_named
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.alerts import Alert, batch_alerts, behind_alert, late_alert, onboarding_alert
from closingbell.operations.freshness import freshness, last_due
from closingbell.operations.jobs import DUE, JobType, batches
from closingbell.operations.planning import LATE_AFTER
from closingbell.repositories import inspection, queue, run_records
from closingbell.repositories.database import Connection
from resources import AlertChannel, Market, Warehouse
from resources.jobs import JobReader

MEMORY = timedelta(days=2)
"""How far back run records are read. Sent alerts are remembered twice as long."""

DONE_BY = timedelta(minutes=90)
"""How long after its time a symbol batch must have stored the prices."""


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, market: Market, alert_channel: AlertChannel
) -> dg.SkipReason:
    """Send alerts about late and failed batches, many failed items, and data that are behind."""
    moment = runtime.planning_now()
    with warehouse.open().transaction() as connection:
        current = list(_current_alerts(JobReader(context.instance), connection, market, moment))
    sent: dict[str, str] = json.loads(context.cursor or "{}")
    delivered = alert_channel.send([alert for alert in current if alert.key not in sent])
    remembered = {key: at for key, at in sent.items() if datetime.fromisoformat(at) > moment - 2 * MEMORY}
    context.update_cursor(json.dumps(remembered | {alert.key: moment.isoformat() for alert in delivered}))
    return dg.SkipReason(f"sent {len(delivered)} of {len(current)} alerts; the others were sent before or are retried")


def _current_alerts(reader: JobReader, connection: Connection, market: Market, moment: datetime) -> Iterator[Alert]:
    yield from batch_alerts(run_records.since(connection, moment - MEMORY))
    today = moment.astimezone(NEW_YORK).date()
    settled = queue.settled_since(connection, datetime.combine(today, time(), NEW_YORK))
    calendar = market.calendar()
    expected = market.latest_session(last_due(calendar, moment - DONE_BY, DUE[JobType.SYMBOL_BATCH]))
    newest = inspection.newest_session(connection, step_named("prices").table)
    if alert := onboarding_alert(settled, today):
        yield alert
    if newest is None:
        return  # a new install, whose first batch the operator starts
    yield from _late_batches(reader, connection, market, moment)
    if alert := behind_alert(freshness(calendar, newest, expected=expected, now=moment)):
        yield alert


def _late_batches(reader: JobReader, connection: Connection, market: Market, moment: datetime) -> Iterator[Alert]:
    calendar = market.calendar()
    active = {job.type for job in reader.active_jobs()}
    # A portfolio refresh that waits too long is recorded as failed, and alerted as such.
    for job in (job for job in batches(load_settings().mode) if job is not JobType.PORTFOLIO_REFRESH):
        due = last_due(calendar, moment, DUE[job])
        target = market.latest_session(due)
        record = run_records.find(connection, job, target)
        started = job in active or (record is not None and record.started_at >= due)
        if moment - due >= LATE_AFTER and not started and target in reader.incomplete_sessions(calendar, job, target):
            yield late_alert(job, due, target)

"""Sends alerts: always to the log, and to a webhook when one is set."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Sequence

from closingbell.operations.alerts import Alert, Level

logger = logging.getLogger("closingbell.alerts")

TIMEOUT_SECONDS = 10


def send(alerts: Sequence[Alert], webhook: str | None) -> list[Alert]:
    """Send alerts; return those that have arrived, so that the others can be sent again."""
    arrived = []
    for alert in alerts:
        severity = logging.CRITICAL if alert.level is Level.CRITICAL else logging.WARNING
        logger.log(severity, "ALERT level=%s kind=%s %s", alert.level, alert.kind, alert.text)
        if webhook is None or _post(alert, webhook):
            arrived.append(alert)
    return arrived


def _post(alert: Alert, webhook: str) -> bool:
    body = {"kind": alert.kind, "level": alert.level, "subject": alert.subject, "text": alert.text}
    request = urllib.request.Request(  # noqa: S310 - the operator's own URL
        webhook, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return True
    except OSError as error:
        logger.warning("the webhook has not taken an alert, it will be sent again: %s", error)
        return False

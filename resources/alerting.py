"""The channel on which alerts are sent."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Sequence

import dagster as dg

from closingbell.install.settings import load_settings
from closingbell.operations.alerts import Alert
from closingbell.operations.freshness import Level

logger = logging.getLogger("closingbell.alerts")

TIMEOUT_SECONDS = 10


class AlertChannel(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The log, and the webhook that the settings name, if any."""

    def send(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Send alerts; return those that have been delivered, so that the others can be sent later."""
        webhook = load_settings().alert_webhook
        delivered = []
        for alert in alerts:
            severity = logging.CRITICAL if alert.level is Level.CRITICAL else logging.WARNING
            logger.log(severity, "ALERT level=%s kind=%s %s", alert.level, alert.kind, alert.text)
            if webhook is None or _post(alert, webhook):
                delivered.append(alert)
        return delivered


def _post(alert: Alert, webhook: str) -> bool:
    body = {"kind": alert.kind, "level": alert.level, "subject": alert.subject, "text": alert.text}
    request = urllib.request.Request(  # noqa: S310 - the operator's own URL
        webhook, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return True
    except OSError as error:
        logger.warning("the webhook did not accept an alert, which will be sent again: %s", error)
        return False

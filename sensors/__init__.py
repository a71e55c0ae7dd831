"""What watches the plant between the schedules."""

import dagster as dg

from closingbell.operations.mode import Mode
from sensors.alerts import alerts
from sensors.catch_up import catch_up
from sensors.new_symbols import new_symbols
from sensors.orphans import orphaned_runs


def sensors_of(mode: Mode) -> list[dg.SensorDefinition]:
    """Return the sensors of a mode: with one combined batch, that batch learns new symbols."""
    return [catch_up, orphaned_runs, alerts, *([new_symbols] if mode is Mode.INSTANT else [])]

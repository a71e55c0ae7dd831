"""The sensors: what starts, ends and reports runs besides the schedules."""

import dagster as dg

from closingbell.operations.mode import Mode
from sensors.alerts import alerts
from sensors.catch_up import catch_up
from sensors.new_symbols import new_symbols
from sensors.orphaned_runs import orphaned_runs


def sensors_of(mode: Mode) -> list[dg.SensorDefinition]:
    """Return the sensors of a mode; the combined batch onboards new symbols itself."""
    return [catch_up, orphaned_runs, alerts, *([new_symbols] if mode is Mode.INSTANT else [])]

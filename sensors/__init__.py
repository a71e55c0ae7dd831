"""What watches the plant between the schedules."""

from sensors.orphans import orphaned_runs

SENSORS = [orphaned_runs]

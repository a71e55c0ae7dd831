"""What watches the plant between the schedules."""

from sensors.alerts import alerts
from sensors.catch_up import catch_up
from sensors.orphans import orphaned_runs

SENSORS = [catch_up, orphaned_runs, alerts]

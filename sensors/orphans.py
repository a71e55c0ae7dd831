"""Ends the runs whose process has died."""

from __future__ import annotations

import dagster as dg

from closingbell.install import runtime
from resources.orphans import end_orphans
from resources.warehouse import Warehouse


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def orphaned_runs(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SkipReason:
    """End the runs whose process has died, so that what waits for them can go on."""
    ended = end_orphans(context.instance, warehouse.open(), runtime.now())
    return dg.SkipReason(f"ended {', '.join(ended)}" if ended else "every run underway has a process")

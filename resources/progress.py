"""What Dagster has of every session, and what is therefore left to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg

from closingbell.market.calendar import SessionCalendar
from closingbell.operations.jobs import STEPS, JobType
from closingbell.operations.planning import unfinished_sessions


def materialized_sessions(instance: dg.DagsterInstance, assets: Sequence[str]) -> dict[str, set[date]]:
    """Return, by asset, the sessions that are materialized."""
    return {
        asset: {date.fromisoformat(key) for key in instance.get_materialized_partitions(dg.AssetKey(asset))}
        for asset in assets
    }


def unfinished(instance: dg.DagsterInstance, calendar: SessionCalendar, job: JobType, target: date) -> list[date]:
    """Return the sessions up to `target` that a batch has still to do, oldest first."""
    return unfinished_sessions(calendar, target, materialized_sessions(instance, STEPS[job]))

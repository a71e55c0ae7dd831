"""Deletes Dagster's old runs; its own retention covers ticks only."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg

from closingbell.operations.jobs import JobType

RUNS_KEPT = timedelta(days=90)

MOST = 1_000
"""Runs deleted at a time: the next day goes on."""

RECORDING = (JobType.FEEDBACK_LEARNING.value, JobType.ADMIN_METRICS.value, "freshness")


def delete_old_runs(instance: dg.DagsterInstance, now: datetime) -> int:
    """Delete old runs that hold no materialization; return how many.

    The runs of the batches stay: with a run Dagster deletes its events, and with those the knowledge that its
    partitions are there.
    """
    before = now - RUNS_KEPT
    filters = [dg.RunsFilter(job_name=job, created_before=before) for job in RECORDING]
    old = [run for each in filters for run in instance.get_runs(each, limit=MOST)]
    for run in old:
        instance.delete_run(run.run_id)
    return len(old)

"""The tracker and the warehouse over Dagster's own storage in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pytest
from plant import last_sessions
from plant_on_dagster import Plant, start_run

from closingbell.errors import ConfigurationError
from closingbell.operations.jobs import JobRunningError, JobType
from closingbell.repositories import locks
from definitions import defs
from resources import Warehouse
from resources.jobs import RANGE_END, RANGE_START, TRIGGER_TAG
from resources.tracker import JobTracker

SESSIONS = last_sessions(6)
SNAPSHOTS = "portfolio_snapshots"


def test_a_run_holds_its_lease_while_it_works(plant: Plant) -> None:
    run = plant.instance.create_run_for_job(defs.resolve_job_def("symbol_batch"))
    with dg.build_resources({"warehouse": Warehouse()}, instance=plant.instance, dagster_run=run):
        assert plant.database.is_leased(locks.run(run.run_id))
    assert not plant.database.is_leased(locks.run(run.run_id))


def tracker_of(plant: Plant, launched: list[tuple[JobType, Mapping[str, str]]]) -> JobTracker:
    """Return a tracker that records what it launches."""

    def launch(job: JobType, tags: Mapping[str, str]) -> str:
        launched.append((job, tags))
        return "new"

    return JobTracker(plant.instance, plant.database, launch)


def test_the_tracker_sees_every_run_also_those_launched_from_the_ui(plant: Plant) -> None:
    tracker = tracker_of(plant, [])
    assert tracker.active_jobs() == []
    assert tracker.get_current() is None
    batch = start_run(plant)
    from_the_ui = plant.instance.create_run_for_job(
        defs.get_implicit_global_asset_job_def(),
        asset_selection={dg.AssetKey(SNAPSHOTS)},
        status=dg.DagsterRunStatus.STARTING,
    )
    assert [(job.type, job.run_id) for job in tracker.active_jobs()] == [
        (JobType.SYMBOL_BATCH, batch.run_id),
        (JobType.PORTFOLIO_REFRESH, from_the_ui.run_id),
    ]
    current = tracker.get_current()
    assert current is not None
    assert current.type is JobType.SYMBOL_BATCH
    assert tracker.is_running(JobType.PORTFOLIO_REFRESH)
    plant.instance.report_run_canceled(from_the_ui)
    assert not tracker.is_running(JobType.PORTFOLIO_REFRESH)
    ended = tracker.get_job(JobType.SYMBOL_BATCH)
    assert ended is not None
    assert ended.run_id == batch.run_id


def test_the_tracker_refuses_a_second_job_of_a_type_and_names_the_first(plant: Plant) -> None:
    launched: list[tuple[JobType, Mapping[str, str]]] = []
    tracker = tracker_of(plant, launched)
    run = start_run(plant)
    with pytest.raises(JobRunningError, match=run.run_id):
        tracker.start_job(JobType.SYMBOL_BATCH, SESSIONS)
    assert tracker.start_job(JobType.PORTFOLIO_REFRESH, SESSIONS, trigger="a user") == "new"
    assert launched == [
        (
            JobType.PORTFOLIO_REFRESH,
            {TRIGGER_TAG: "a user", RANGE_START: str(SESSIONS[0]), RANGE_END: str(SESSIONS[-1])},
        )
    ]


def test_the_tracker_refuses_a_job_that_the_mode_does_not_have(plant: Plant) -> None:
    with pytest.raises(ConfigurationError, match="there is no daily_batch while BATCH_V2_ENABLED is true"):
        tracker_of(plant, []).start_job(JobType.DAILY_BATCH)

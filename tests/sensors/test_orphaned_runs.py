"""Runs whose process has died."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import dagster as dg
from plant import LAST
from plant_on_dagster import Plant, start_run
from sqlalchemy import text

from closingbell.install import runtime
from closingbell.repositories import locks
from sensors.orphaned_runs import end_orphans


def test_a_run_whose_process_has_died_is_ended_and_its_run_record_closed(plant: Plant) -> None:
    run = start_run(plant)
    assert end_orphans(plant.instance, plant.database, runtime.now() + timedelta(minutes=1)) == [run.run_id]
    ended = plant.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert plant.run_records() == [("symbol_batch", LAST, "failed", ["the process of the run has died"])]


def test_a_run_whose_process_lives_is_left_alone(plant: Plant) -> None:
    run = start_run(plant)
    with plant.database.lease(locks.run(run.run_id)):
        assert end_orphans(plant.instance, plant.database, runtime.now() + timedelta(minutes=1)) == []
    assert plant.run_records() == [("symbol_batch", LAST, "running", [])]


def test_a_run_that_takes_its_lease_again_after_a_restart_of_the_database_is_left_alone(plant: Plant) -> None:
    run = start_run(plant)
    with ExitStack() as process:
        lease = plant.database.lease(locks.run(run.run_id))
        later = runtime.now() + timedelta(minutes=1)
        ended = end_orphans(plant.instance, plant.database, later, pause=lambda _: process.enter_context(lease))
        assert ended == []
    assert plant.run_records() == [("symbol_batch", LAST, "running", [])]


def test_a_run_that_has_only_just_started_is_left_alone(plant: Plant) -> None:
    start_run(plant)
    assert end_orphans(plant.instance, plant.database, runtime.now()) == []


def test_a_run_record_left_open_ends_as_the_run_did(plant: Plant) -> None:
    result = plant.execute("symbol_batch", LAST, LAST)
    with plant.database.transaction() as connection:
        connection.execute(text("UPDATE batch_run_history SET status = 'running', phases = '{}'"))
    end_orphans(plant.instance, plant.database, runtime.now())
    assert result.success
    assert [status for _, _, status, _ in plant.run_records()] == ["completed"]


def test_a_run_that_fails_by_a_check_after_its_steps_has_a_failed_run_record(plant: Plant) -> None:
    plant.execute("symbol_batch", LAST, LAST)
    run = plant.instance.get_runs(dg.RunsFilter(job_name="symbol_batch"))[0]
    plant.instance.report_run_failed(run, "a blocking check has failed")
    end_orphans(plant.instance, plant.database, runtime.now())
    failed = [reasons for job, _, status, reasons in plant.run_records() if (job, status) == ("symbol_batch", "failed")]
    assert len(failed) == 1
    assert "a blocking check has failed" in failed[0][-1]


def test_the_run_record_of_a_canceled_run_ends_as_canceled(plant: Plant) -> None:
    run = start_run(plant)
    plant.instance.report_run_canceled(run)
    end_orphans(plant.instance, plant.database, runtime.now())
    assert [status for _, _, status, _ in plant.run_records()] == ["canceled"]

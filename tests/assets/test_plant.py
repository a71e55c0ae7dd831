"""The asset graph on Dagster's own storage in PostgreSQL."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date, timedelta

import dagster as dg
import pytest
from plant import LAST, last_sessions
from plant_on_dagster import Plant
from rich.console import Console
from sqlalchemy import text

from cli.backfill import Outcome, backfill
from closingbell.errors import BatchError, ConfigurationError
from closingbell.install import runtime
from closingbell.operations.jobs import (
    PORTFOLIO_STEPS,
    STEPS,
    SYMBOL_STEPS,
    JobRunningError,
    JobType,
    batches,
)
from closingbell.operations.mode import Mode
from closingbell.repositories import locks, run_records
from closingbell.repositories.run_records import RunRecord
from definitions import defs
from resources import Warehouse, orphans
from resources.orphans import end_orphans
from resources.tracker import RANGE_END, RANGE_START, TRIGGER_TAG, JobTracker

SESSIONS = last_sessions(6)
KEYS = {day.isoformat() for day in SESSIONS}

PRICES, OPTIONS, PROFILES, FACTORS = "prices", "option_prices", "company_profiles", "symbol_factors"
SNAPSHOTS = "portfolio_snapshots"

GRAPH = {
    # asset: (group and pool, what it needs, its checks)
    PRICES: ("symbols", set(), {"sessions_complete", "prices_sane", "prices_fresh"}),
    OPTIONS: ("symbols", {PRICES}, set()),
    PROFILES: ("symbols", {PRICES}, set()),
    "fundamentals": ("symbols", {PROFILES}, set()),
    FACTORS: ("symbols", {PRICES, PROFILES}, {"factors_present", "symbol_factors_fresh"}),
    "symbol_metrics": ("symbols", {PRICES, PROFILES}, set()),
    SNAPSHOTS: ("portfolios", {PRICES, OPTIONS, FACTORS}, {"nav_adds_up", "portfolio_snapshots_fresh"}),
    "portfolio_factor_exposures": ("portfolios", {SNAPSHOTS, FACTORS}, set()),
}
POOLS = {"symbols": "symbol_batch", "portfolios": "portfolio_refresh"}


def run_quietly(jobs: Sequence[JobType], sessions: list[date]) -> Outcome:
    return backfill(jobs, sessions, Console(file=io.StringIO()))


# ---------------------------------------------------------------- the graph


def test_the_asset_graph_is_the_one_that_people_know() -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): (
            graph.get(key).group_name,
            {parent.to_user_string() for parent in graph.get(key).parent_keys},
            {check.name for check in graph.get_check_keys_for_assets({key})},
        )
        for key in graph.get_all_asset_keys()
    }
    assert found == GRAPH


def test_every_asset_has_the_same_partitions_policy_and_the_pool_of_its_job() -> None:
    graph = defs.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert len({node.partitions_def for node in nodes}) == 1
    assert {node.backfill_policy for node in nodes} == {dg.BackfillPolicy.multi_run(63)}
    assert all(node.pools == {POOLS[str(node.group_name)]} for node in nodes)
    assert all(node.description for node in nodes)


def test_every_step_belongs_to_one_job_in_the_order_of_the_graph() -> None:
    assert [*SYMBOL_STEPS, *PORTFOLIO_STEPS] == list(GRAPH)


# ---------------------------------------------------------------- runs


def test_a_backfill_materializes_every_partition_of_every_asset_with_its_story(plant: Plant) -> None:
    outcome = run_quietly(batches(Mode.INSTANT), SESSIONS)
    assert outcome.failed_checks == []
    for asset in GRAPH:
        assert plant.instance.get_materialized_partitions(dg.AssetKey(asset)) == KEYS, asset
    assert plant.run_records() == [
        (job, day, "completed", []) for job in ("portfolio_refresh", "symbol_batch") for day in SESSIONS
    ]
    with plant.database.transaction() as connection:
        told = connection.execute(text("SELECT * FROM batch_run_history WHERE session = :day"), {"day": LAST}).all()
    for row in told:
        assert set(row.phases) == set(STEPS[JobType(row.job_type)])
        assert row.run_id in outcome.runs
        assert row.trigger == "command line"
        assert row.duration_ms >= max(row.phases.values())


def test_a_materialization_says_what_was_done(plant: Plant) -> None:
    run_quietly(batches(Mode.INSTANT), SESSIONS)
    for asset in GRAPH:
        event = plant.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        materialization = event.asset_materialization
        assert materialization is not None
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        assert {"items", "failed", "duration_ms", "dagster/table_name", "dagster/row_count"} <= set(metadata), asset
    records = plant.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(FACTORS), asset_partitions=[str(LAST)]), limit=1
    ).records
    latest = records[0].asset_materialization
    assert latest is not None
    assert latest.metadata["dagster/partition_row_count"].value == 28 * 13
    assert 0.9 < float(latest.metadata["coverage"].value) <= 1  # type: ignore[arg-type]
    assert "| Market Beta (90D) | 28 of 28 |" in str(latest.metadata["sample"].value)


def test_checks_are_evaluated_on_the_sessions_of_the_run(plant: Plant) -> None:
    result = plant.execute("symbol_batch", SESSIONS[0], SESSIONS[-1])
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert set(checks) == {"sessions_complete", "prices_sane", "factors_present"}
    assert all(check.passed for check in checks.values())
    assert {check.metadata["checked"].value for check in checks.values()} == {len(SESSIONS)}


def test_the_freshness_checks_notice_a_table_that_lags_behind(plant: Plant) -> None:
    plant.execute("symbol_batch", SESSIONS[0], SESSIONS[-2])
    result = defs.resolve_job_def("freshness").execute_in_process(instance=plant.instance, raise_on_error=False)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(checks, False)
    assert checks["prices_fresh"].metadata["sessions behind"].value == "1"
    assert checks["prices_fresh"].severity is dg.AssetCheckSeverity.WARN
    assert checks["portfolio_snapshots_fresh"].severity is dg.AssetCheckSeverity.ERROR


def test_every_step_logs_its_beginning_and_its_end(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "closingbell.steps"):
        plant.execute("symbol_batch", LAST, LAST)
    # Dagster puts the job, the run and the step in front.
    lines = [line for record in caplog.records if (line := record.getMessage().split(" - ")[-1]).startswith("V2_")]
    assert f"V2_BATCH_STEP step=prices status=started sessions={LAST}" in lines
    ended = [line for line in lines if "status=completed" in line]
    assert len(ended) == len(STEPS[JobType.SYMBOL_BATCH])
    assert all("duration_ms=" in line and "items=" in line and "failed=" in line for line in ended)


def test_a_partition_that_the_provider_does_not_have_yet_fails_and_is_not_tried_again(plant: Plant) -> None:
    ahead = runtime.trading_calendar().offset(LAST, 1)
    result = plant.execute("symbol_batch", ahead, ahead)
    assert not result.success
    failure = result.failure_data_for_node(PRICES)
    assert failure is not None
    assert failure.user_failure_data is not None
    assert f"the latest session is {LAST}" in str(failure.user_failure_data.description)
    assert plant.run_records() == []
    assert plant.instance.get_materialized_partitions(dg.AssetKey(PRICES)) == set()


def test_a_step_that_fails_closes_its_story_and_names_itself(plant: Plant) -> None:
    with pytest.raises(BatchError, match=r"portfolio_snapshots failed .*symbol batch has not been computed") as caught:
        run_quietly([JobType.PORTFOLIO_REFRESH], SESSIONS)
    assert "Dagster UI" in str(caught.value)
    told = plant.run_records()
    assert {(job, status) for job, _, status, _ in told} == {("portfolio_refresh", "failed")}
    assert "Materialize symbol_factors" in told[0][3][0]
    assert plant.instance.get_materialized_partitions(dg.AssetKey(SNAPSHOTS)) == set()


def test_part_of_a_job_ends_its_story_too(plant: Plant) -> None:
    result = defs.resolve_job_def("symbol_batch").execute_in_process(
        instance=plant.instance,
        partition_key=str(LAST),
        asset_selection=[dg.AssetKey(PRICES), dg.AssetKey(FACTORS)],
    )
    assert result.success
    assert plant.run_records() == [("symbol_batch", LAST, "completed", [])]


# ---------------------------------------------------------------- runs whose process has died


def start_run(plant: Plant) -> dg.DagsterRun:
    """Record a run as started, as a process does before it works."""
    run = plant.instance.create_run_for_job(defs.resolve_job_def("symbol_batch"), status=dg.DagsterRunStatus.STARTED)
    with plant.database.transaction() as connection:
        run_records.begin(connection, RunRecord("symbol_batch", [LAST], run.run_id), "test", runtime.now())
    return run


def test_a_run_whose_process_has_died_is_ended_and_its_story_closed(plant: Plant) -> None:
    run = start_run(plant)
    assert end_orphans(plant.instance, plant.database, runtime.now() + timedelta(minutes=1)) == [run.run_id]
    ended = plant.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert plant.run_records() == [("symbol_batch", LAST, "failed", ["the process that worked on it has died"])]


def test_a_run_that_is_being_worked_on_is_left_alone(plant: Plant) -> None:
    run = start_run(plant)
    with plant.database.lease(locks.run(run.run_id)):
        assert end_orphans(plant.instance, plant.database, runtime.now() + timedelta(minutes=1)) == []
    assert plant.run_records() == [("symbol_batch", LAST, "running", [])]


def test_a_run_that_takes_its_lease_again_after_a_restart_of_the_database_is_left_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(plant)
    with ExitStack() as process:
        lease = plant.database.lease(locks.run(run.run_id))
        monkeypatch.setattr(orphans, "sleep", lambda _seconds: process.enter_context(lease))
        assert end_orphans(plant.instance, plant.database, runtime.now() + timedelta(minutes=1)) == []
    assert plant.run_records() == [("symbol_batch", LAST, "running", [])]


def test_a_run_that_has_only_just_started_is_left_alone(plant: Plant) -> None:
    start_run(plant)
    assert end_orphans(plant.instance, plant.database, runtime.now()) == []


def test_the_story_that_a_run_left_open_ends_as_the_run_did(plant: Plant) -> None:
    result = plant.execute("symbol_batch", LAST, LAST)
    with plant.database.transaction() as connection:
        connection.execute(text("UPDATE batch_run_history SET status = 'running', phases = '{}'"))
    end_orphans(plant.instance, plant.database, runtime.now())
    assert result.success
    assert [status for _, _, status, _ in plant.run_records()] == ["completed"]


def test_a_run_that_fails_by_a_check_after_its_steps_is_failed_in_the_history_too(plant: Plant) -> None:
    run_quietly(batches(Mode.INSTANT), SESSIONS)
    run = plant.instance.get_runs(dg.RunsFilter(job_name="portfolio_refresh"))[0]
    plant.instance.report_run_failed(run, "a blocking check has failed")
    end_orphans(plant.instance, plant.database, runtime.now())
    failed = [
        reasons for job, _, status, reasons in plant.run_records() if (job, status) == ("portfolio_refresh", "failed")
    ]
    assert len(failed) == len(SESSIONS)
    assert "a blocking check has failed" in failed[0][-1]


def test_the_story_of_a_canceled_run_ends_as_canceled(plant: Plant) -> None:
    run = start_run(plant)
    plant.instance.report_run_canceled(run)
    end_orphans(plant.instance, plant.database, runtime.now())
    assert [status for _, _, status, _ in plant.run_records()] == ["canceled"]


def test_a_run_holds_its_lease_while_it_works(plant: Plant) -> None:
    run = plant.instance.create_run_for_job(defs.resolve_job_def("symbol_batch"))
    with dg.build_resources({"warehouse": Warehouse()}, instance=plant.instance, dagster_run=run):
        assert plant.database.is_leased(locks.run(run.run_id))
    assert not plant.database.is_leased(locks.run(run.run_id))


# ---------------------------------------------------------------- the tracker


def tracker_of(plant: Plant, launched: list[tuple[JobType, Mapping[str, str]]]) -> JobTracker:
    """Return a tracker that remembers what it is to launch."""

    def launch(job: JobType, tags: Mapping[str, str]) -> str:
        launched.append((job, tags))
        return "new"

    return JobTracker(plant.instance, plant.database, launch)


def test_the_tracker_sees_what_dagster_runs_whoever_launched_it(plant: Plant) -> None:
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
    assert tracker.start_job(JobType.PORTFOLIO_REFRESH, SESSIONS, trigger="a person") == "new"
    assert launched == [
        (
            JobType.PORTFOLIO_REFRESH,
            {TRIGGER_TAG: "a person", RANGE_START: str(SESSIONS[0]), RANGE_END: str(SESSIONS[-1])},
        )
    ]


def test_the_tracker_refuses_a_job_that_the_mode_does_not_have(plant: Plant) -> None:
    with pytest.raises(ConfigurationError, match="there is no daily_batch while BATCH_V2_ENABLED is true"):
        tracker_of(plant, []).start_job(JobType.DAILY_BATCH)

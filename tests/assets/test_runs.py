"""Runs of the assets on Dagster's own storage in PostgreSQL."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from datetime import date

import dagster as dg
import pytest
from plant import LAST, last_sessions
from plant_on_dagster import Plant
from rich.console import Console
from sqlalchemy import text

from cli.backfill import Outcome, backfill
from closingbell.batch.steps import STEPS, step_names
from closingbell.calculations.factor_definitions import FACTORS
from closingbell.errors import BatchError
from closingbell.install import runtime
from closingbell.operations.jobs import JobType, batches
from closingbell.operations.mode import Mode
from definitions import defs

SESSIONS = last_sessions(6)
KEYS = {day.isoformat() for day in SESSIONS}
ASSETS = [step.name for step in STEPS]

PRICES, SYMBOL_FACTORS, SNAPSHOTS = "prices", "symbol_factors", "portfolio_snapshots"


def run_quietly(jobs: Sequence[JobType], sessions: list[date]) -> Outcome:
    return backfill(jobs, sessions, Console(file=io.StringIO()))


def test_a_backfill_materializes_every_partition_of_every_asset_with_its_run_record(plant: Plant) -> None:
    outcome = run_quietly(batches(Mode.INSTANT), SESSIONS)
    assert outcome.failed_checks == []
    for asset in ASSETS:
        assert plant.instance.get_materialized_partitions(dg.AssetKey(asset)) == KEYS, asset
    assert plant.run_records() == [
        (job, day, "completed", []) for job in ("portfolio_refresh", "symbol_batch") for day in SESSIONS
    ]
    with plant.database.transaction() as connection:
        records = connection.execute(text("SELECT * FROM batch_run_history WHERE session = :day"), {"day": LAST}).all()
    for row in records:
        assert set(row.phases) == set(step_names(JobType(row.job_type)))
        assert row.run_id in outcome.runs
        assert row.trigger == "command line"
        assert row.duration_ms >= max(row.phases.values())


def test_a_materialization_shows_what_was_done(plant: Plant) -> None:
    run_quietly(batches(Mode.INSTANT), SESSIONS)
    for asset in ASSETS:
        event = plant.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        materialization = event.asset_materialization
        assert materialization is not None
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        assert {"items", "failed", "duration_ms", "dagster/table_name", "dagster/row_count"} <= set(metadata), asset
    records = plant.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(SYMBOL_FACTORS), asset_partitions=[str(LAST)]), limit=1
    ).records
    latest = records[0].asset_materialization
    assert latest is not None
    assert latest.metadata["dagster/partition_row_count"].value == 28 * len(FACTORS)
    assert 0.9 < float(latest.metadata["coverage"].value) <= 1  # type: ignore[arg-type]
    assert "| Market Beta (90D) | 28 of 28 |" in str(latest.metadata["sample"].value)


def test_checks_are_evaluated_on_the_sessions_of_the_run(plant: Plant) -> None:
    result = plant.execute("symbol_batch", SESSIONS[0], SESSIONS[-1])
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert set(checks) == {"sessions_complete", "prices_sane", "factors_present"}
    assert all(check.passed for check in checks.values())
    assert {check.metadata["checked"].value for check in checks.values()} == {len(SESSIONS)}


def standing_checks(plant: Plant) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the standing checks; return the outcome of each."""
    result = defs.resolve_job_def("freshness").execute_in_process(instance=plant.instance, raise_on_error=False)
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_the_freshness_checks_find_a_table_that_is_behind(plant: Plant) -> None:
    plant.execute("symbol_batch", SESSIONS[0], SESSIONS[-2])
    checks = {name: check for name, check in standing_checks(plant).items() if name.endswith("_fresh")}
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(checks, False)
    assert checks["prices_fresh"].metadata["sessions behind"].value == "1"
    assert checks["prices_fresh"].severity is dg.AssetCheckSeverity.WARN
    assert checks["portfolio_snapshots_fresh"].severity is dg.AssetCheckSeverity.ERROR


def test_the_partition_checks_find_failed_partitions_and_missing_ones(plant: Plant) -> None:
    assert all(check.passed for name, check in standing_checks(plant).items() if name.endswith("_partitions"))
    plant.execute("symbol_batch", SESSIONS[0], SESSIONS[1])
    plant.execute("symbol_batch", SESSIONS[3], SESSIONS[3])
    plant.execute("portfolio_refresh", SESSIONS[2], SESSIONS[2])
    checks = standing_checks(plant)
    assert not checks["prices_partitions"].passed
    missing = str(checks["prices_partitions"].metadata["findings"].value)
    assert f"| {SESSIONS[2]} | the partition is missing |" in missing
    failed = str(checks["portfolio_snapshots_partitions"].metadata["findings"].value)
    assert f"| {SESSIONS[2]} | the symbol batch has not been computed" in failed
    assert checks["portfolio_factor_exposures_partitions"].passed


def test_every_step_logs_its_beginning_and_its_end(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "closingbell.steps"):
        plant.execute("symbol_batch", LAST, LAST)
    # Dagster puts the job, the run and the step in front.
    lines = [line for record in caplog.records if (line := record.getMessage().split(" - ")[-1]).startswith("V2_")]
    assert f"V2_BATCH_STEP step=prices status=started sessions={LAST}" in lines
    ended = [line for line in lines if "status=completed" in line]
    assert len(ended) == len(step_names(JobType.SYMBOL_BATCH))
    assert all("duration_ms=" in line and "items=" in line and "failed=" in line for line in ended)


def test_a_partition_that_the_provider_does_not_have_yet_fails_and_is_not_retried(plant: Plant) -> None:
    ahead = runtime.trading_calendar().offset(LAST, 1)
    result = plant.execute("symbol_batch", ahead, ahead)
    assert not result.success
    failure = result.failure_data_for_node(PRICES)
    assert failure is not None
    assert failure.user_failure_data is not None
    assert f"the latest session is {LAST}" in str(failure.user_failure_data.description)
    assert plant.run_records() == []
    assert plant.instance.get_materialized_partitions(dg.AssetKey(PRICES)) == set()


def test_a_step_that_fails_closes_its_run_record_and_names_itself(plant: Plant) -> None:
    with pytest.raises(BatchError, match=r"portfolio_snapshots failed .*symbol batch has not been computed") as caught:
        run_quietly([JobType.PORTFOLIO_REFRESH], SESSIONS)
    assert "Dagster UI" in str(caught.value)
    records = plant.run_records()
    assert {(job, status) for job, _, status, _ in records} == {("portfolio_refresh", "failed")}
    assert "Materialize symbol_factors" in records[0][3][0]
    assert plant.instance.get_materialized_partitions(dg.AssetKey(SNAPSHOTS)) == set()


def test_a_run_of_some_assets_of_a_job_completes_its_run_record_too(plant: Plant) -> None:
    result = defs.resolve_job_def("symbol_batch").execute_in_process(
        instance=plant.instance,
        partition_key=str(LAST),
        asset_selection=[dg.AssetKey(PRICES), dg.AssetKey(SYMBOL_FACTORS)],
    )
    assert result.success
    assert plant.run_records() == [("symbol_batch", LAST, "completed", [])]

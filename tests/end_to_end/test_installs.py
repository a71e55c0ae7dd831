"""Installs of their own: a night, a killed process, the other mode, and a stop in the middle of a run."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import dagster as dg
import httpx
from plant import COMPUTED, LAST, PROGRAM, Install, await_row, await_writer, copy_of, hashes, run_batch
from plant_on_dagster import Plant
from serving import (
    ASSETS,
    EVENING,
    IDLE,
    NIGHT,
    assert_night_completed,
    await_settled,
    descendants,
    held,
    is_alive,
    kill,
    launch_night,
    served,
    started_at,
    wait_until_idle,
)
from sqlalchemy import text
from uploading import csv_of, forget_symbol, rows_of, upload

from closingbell.install.postgres import EmbeddedPostgres
from closingbell.install.settings import ROOT
from closingbell.providers.demo import DemoProvider
from closingbell.repositories.database import Database


def test_a_night_whose_daemon_dies_between_its_tick_and_its_run_is_computed_once(
    plant: Plant, tmp_path: Path, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    dagster = Database(os.environ["DAGSTER_STORAGE_URL"])
    # With the combined batch, the night is one run.
    variables = {"CLOSINGBELL_CLOCK": EVENING.isoformat(), "BATCH_V2_ENABLED": "false"}
    with ExitStack() as unrecorded:
        unrecorded.enter_context(dagster.transaction()).execute(text("LOCK TABLE runs IN SHARE MODE"))
        with served(Install(tmp_path, plant.database, variables)) as services:
            await_writer(dagster, "runs", waiting=True)  # the tick is recorded, its run is not
            kill(services, "dagster-daemon")
            unrecorded.close()
            await_row(plant.database, "SELECT 1 FROM batch_run_history WHERE status = 'completed'")
            wait_until_idle(services)
    runs = plant.instance.get_runs()
    assert [(run.job_name, run.status) for run in runs] == [("daily_batch", dg.DagsterRunStatus.SUCCESS)]
    launched = plant.instance.get_records_for_run(runs[0].run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING)
    assert len(launched.records) == 1
    assert plant.run_records() == [("daily_batch", LAST, "completed", [])]
    alone = copy_of(server, seeded_template)
    run_batch(alone, demo, [LAST])
    assert hashes(plant.database, COMPUTED) == hashes(alone, COMPUTED)


def test_with_one_combined_batch_an_upload_starts_it_and_shows_its_phases(
    server: EmbeddedPostgres, computed_template: str, tmp_path: Path
) -> None:
    database = copy_of(server, computed_template)
    batch = rows_of(database, "RRC")
    combined = Install(tmp_path, database, {"BATCH_V2_ENABLED": "false"})
    with served(combined) as services, httpx.Client(base_url=services.api, timeout=60) as client:
        forget_symbol(database, "RRC")
        with held(services, "symbol_factors"):
            made = upload(client, csv_of(["AAPL", "RRC"])).json()
            assert (made["mode"], made["status"], made["pending"]) == ("v1_batch", "pending", ["RRC"])
            running = "SELECT 1 FROM batch_run_history WHERE job_type = 'daily_batch' AND status = 'running'"
            await_row(database, running)
            shown = client.get(f"/api/v1/onboarding/status/{made['portfolio_id']}").json()
            assert shown["status"] == "running"
            assert [phase["phase"] for phase in shown["phases"]] == ASSETS
        assert await_settled(client, [made["portfolio_id"]]) == {"completed"}
        refused = client.post("/api/v1/admin/batch/run", json={"job_type": "symbol_batch"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ERR_NOT_AVAILABLE")
        wait_until_idle(services)
    assert rows_of(database, "RRC") == batch


def test_a_stop_in_the_middle_of_a_run_ends_it_and_the_next_start_computes_its_sessions(
    server: EmbeddedPostgres, computed_template: str, tmp_path: Path
) -> None:
    database = copy_of(server, computed_template)
    install = Install(tmp_path, database)
    with ExitStack() as stack:
        with served(install) as services:
            stack.enter_context(held(services, "symbol_metrics"))
            run_id = launch_night(services, (LAST.isoformat(), LAST.isoformat()))
            await_row(database, f"SELECT 1 FROM batch_run_history WHERE run_id = '{run_id}' AND phases ? 'prices'")
            working = descendants(services.process)
        assert any("spawn_main" in command for command in working.values())
        assert [working[pid] for pid in working if is_alive(pid)] == []
    with served(install) as services:
        ended = f"""SELECT 1 FROM batch_run_history WHERE job_type = 'symbol_batch' AND status = 'completed'
                    AND run_id <> '{run_id}'"""
        await_row(database, ended, within=120)
        wait_until_idle(services)


def test_the_workspace_loads_from_any_folder(install: Install) -> None:
    validate = [
        str(PROGRAM.with_name("dagster")),
        "definitions",
        "validate",
        "--workspace",
        str(ROOT / "workspace.yaml"),
    ]
    environment = {**os.environ, "DATABASE_URL": install.database.url.render_as_string(hide_password=False)}
    result = subprocess.run(validate, cwd=install.home, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_batch_whose_embedded_database_is_killed_while_it_writes_is_completed_later(
    tmp_path: Path, undisturbed: Database
) -> None:
    embedded = EmbeddedPostgres(tmp_path / "postgres")
    install = Install(tmp_path, Database(embedded.url("closingbell")), {"DATABASE_URL": ""}).prepared()
    with served(install) as services:
        run_id = launch_night(services, NIGHT)
        await_writer(install.database, "symbol_factor_exposures")
        before = started_at(install.database)
        os.kill(int((embedded.data / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        deadline = monotonic() + 60
        while started_at(install.database) in {before, None}:
            assert monotonic() < deadline
            sleep(0.1)
        # The webserver notices at its next query that its connection is gone, and opens another.
        while "errors" in httpx.post(f"{services.dagster}/graphql", json={"query": IDLE}, timeout=60).json():
            assert monotonic() < deadline
        assert_night_completed(services, undisturbed, run_id)
    assert not embedded.is_running()

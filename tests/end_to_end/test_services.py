"""`closingbell up`: the real webserver, daemon and API, driven as a browser would."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import httpx
import pytest
from plant import COMPUTED, LAST, Install, await_row, copy_of, hashes, rows, run_batch
from serving import (
    ASSETS,
    NIGHT,
    SESSIONS,
    STATUSES,
    Services,
    assert_night_completed,
    await_port,
    await_settled,
    await_writing,
    backfill,
    forget_night,
    held,
    keys_of,
    kill,
    launch_night,
    served,
    start_jobs,
    status_of,
    wait_until_idle,
)
from uploading import csv_of, forget_symbol, rows_of, upload

from closingbell.install.postgres import EmbeddedPostgres
from closingbell.providers.demo import DemoProvider
from closingbell.repositories.database import Database


@pytest.fixture(scope="module")
def services(
    server: EmbeddedPostgres, seeded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    with served(Install(tmp_path_factory.mktemp("up"), copy_of(server, seeded_template))) as started:
        yield started


def test_a_backfill_chosen_in_the_ui_materializes_the_range_and_writes_the_rows_of_the_command_line(
    services: Services, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    keys = [day.isoformat() for day in SESSIONS]
    assert backfill(services, ASSETS, keys) == "COMPLETED_SUCCESS"
    for node in services.ask(STATUSES, assets=keys_of(ASSETS))["assetNodes"]:
        # One range: weekends and holidays are not missing partitions.
        assert node["assetPartitionStatuses"]["ranges"] == [
            {"startKey": keys[0], "endKey": keys[-1], "status": "MATERIALIZED"}
        ], node["assetKey"]
    alone = copy_of(server, seeded_template)
    run_batch(alone, demo, SESSIONS)
    assert hashes(services.install.database, COMPUTED) == hashes(alone, COMPUTED)
    query = "SELECT DISTINCT job_type, status, split_part(trigger, ' ', 1) FROM batch_run_history"
    assert set(rows(services.install.database, query)) == {
        ("symbol_batch", "completed", "backfill"),
        ("portfolio_refresh", "completed", "backfill"),
    }


def test_the_ui_shows_the_sessions_the_groups_the_checks_the_schedules_and_the_sensors(services: Services) -> None:
    nodes = services.ask("{assetNodes {groupName partitionKeys hasAssetChecks}}")["assetNodes"]
    assert {node["groupName"] for node in nodes} == {"symbols", "portfolios"}
    for node in nodes:
        keys = set(node["partitionKeys"])
        assert {"2022-12-23", "2022-12-27"} <= keys
        assert not {"2022-12-24", "2022-12-25", "2022-12-26"} & keys
    query = """{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {... on RepositoryLocation {
        name repositories {schedules {name scheduleState {status}} sensors {name sensorState {status}}}}}}}}}"""
    location = services.ask(query)["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]
    assert location["name"] == "closingbell"
    repository = location["repositories"][0]
    assert {schedule["name"]: schedule["scheduleState"]["status"] for schedule in repository["schedules"]} == {
        "symbol_batch_2100": "RUNNING",
        "portfolio_refresh_2130": "RUNNING",
        "freshness_2230": "RUNNING",
        "feedback_learning_2000": "RUNNING",
        "admin_metrics_2030": "RUNNING",
    }
    assert {sensor["name"]: sensor["sensorState"]["status"] for sensor in repository["sensors"]} == {
        "catch_up": "RUNNING",
        "orphaned_runs": "RUNNING",
        "alerts": "RUNNING",
        "new_symbols": "RUNNING",
    }


def test_every_sensor_ticks_without_an_error(services: Services) -> None:
    query = """{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {... on RepositoryLocation {
        repositories {sensors {name sensorState {ticks {status error {message}}}}}}}}}}}"""
    deadline = monotonic() + 120
    seen: set[str] = set()
    while len(seen) < 4 and monotonic() < deadline:
        entry = services.ask(query)["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]
        for sensor in entry["repositories"][0]["sensors"]:
            ticks = [tick for tick in sensor["sensorState"]["ticks"] if tick["status"] != "STARTED"]
            assert [tick["error"] for tick in ticks if tick["error"]] == [], sensor["name"]
            seen |= {sensor["name"]} if ticks else set()
        sleep(0.5)
    assert seen == {"catch_up", "orphaned_runs", "alerts", "new_symbols"}


def test_the_daemons_are_healthy(services: Services) -> None:
    query = "{instance {daemonHealth {allDaemonStatuses {daemonType required healthy}}}}"
    deadline = monotonic() + 60
    unhealthy = ["all"]
    while unhealthy and monotonic() < deadline:
        statuses = services.ask(query)["instance"]["daemonHealth"]["allDaemonStatuses"]
        unhealthy = [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]
        sleep(0.5)
    assert unhealthy == []


def test_the_api_is_alive_and_ready_and_reports_how_fresh_the_prices_are(services: Services) -> None:
    assert httpx.get(f"{services.api}/health/live").json() == {"status": "alive"}
    assert httpx.get(f"{services.api}/health/ready").json() == {"status": "ready", "mode": "db_fallback"}
    fresh = httpx.get(f"{services.api}/api/v1/admin/data/freshness").json()
    assert fresh["expected"] == LAST.isoformat()
    assert fresh["level"] in {"current", "critical"}


def test_of_52_calls_for_one_job_from_four_processes_one_starts_it(services: Services) -> None:
    answers = start_jobs(services, 4, 13, "symbol_batch")
    assert len(answers) == 52
    started = [answer for answer in answers if answer.startswith("started")]
    assert len(started) == 1
    assert set(answers) - set(started) == {started[0].replace("started", "refused")}
    wait_until_idle(services)


def test_a_job_started_through_the_api_is_shown_until_it_ends_and_not_started_twice(services: Services) -> None:
    wait_until_idle(services)
    with httpx.Client(base_url=f"{services.api}/api/v1/admin", timeout=60) as client:
        assert client.get("/batch/run/current").json() == {"status": "idle", "jobs": []}
        with held(services, "symbol_metrics"):
            started = client.post("/batch/run", json={"job_type": "symbol_batch", "from": "2022-12-28"})
            assert started.status_code == 202
            run_id = started.json()["run_id"]
            await_row(
                services.install.database,
                f"SELECT 1 FROM batch_run_history WHERE run_id = '{run_id}' AND phases ? 'prices'",
            )
            job = client.get("/batch/run/current").json()["jobs"][0]
            assert (job["run_id"], job["job_type"], job["trigger"]) == (run_id, "symbol_batch", "api")
            assert job["phases"][0]["done"]
            assert 0 < job["percent"] < 100
            again = client.post("/batch/run", json={"job_type": "symbol_batch"})
            assert (again.status_code, again.json()["error"]["code"]) == (409, "ERR_JOB_RUNNING")
            assert run_id in again.json()["detail"]
    wait_until_idle(services)


def test_jobs_of_different_types_start_side_by_side(services: Services) -> None:
    answers = start_jobs(services, 1, 1, "admin_metrics", "feedback_learning")
    assert [answer.split()[0] for answer in answers] == ["started", "started"]
    wait_until_idle(services)
    for answer in answers:
        assert status_of(services, answer.split()[1]) == "SUCCESS"


def test_an_upload_of_a_new_symbol_is_complete_seconds_later_with_the_rows_of_the_batch(services: Services) -> None:
    database = services.install.database
    batch = rows_of(database, "RRC")
    forget_symbol(database, "RRC")
    with httpx.Client(base_url=services.api, timeout=60) as client:
        made = upload(client, csv_of(["AAPL", "RRC"]), account_name="one new symbol").json()
        assert (made["status"], made["pending"]) == ("pending", ["RRC"])
        assert await_settled(client, [made["portfolio_id"]]) == {"completed"}
    assert rows_of(database, "RRC") == batch


def test_new_symbols_shared_by_thirty_two_uploads_at_once_are_onboarded_once_each(services: Services) -> None:
    database = services.install.database
    shared = ("RRC", "BBY", "GE", "PFE", "AMD")
    for symbol in shared:
        forget_symbol(database, symbol)
    with httpx.Client(base_url=services.api, timeout=60) as client:

        def upload_one(number: int) -> int:
            chosen = csv_of(["AAPL", *shared[number % 5 :], *shared[: number % 3]])
            key: int = upload(client, chosen, account_name=f"one of many {number}").json()["portfolio_id"]
            return key

        with ThreadPoolExecutor(32) as pool:
            keys = list(pool.map(upload_one, range(32)))
        assert await_settled(client, keys) == {"completed"}
    query = "SELECT symbol, attempts FROM symbol_universe WHERE symbol = ANY(:shared)"
    assert dict(rows(database, query, shared=list(shared))) == dict.fromkeys(shared, 1)


@pytest.mark.parametrize("victim", ["dagster-daemon", "spawn_main"])
def test_an_upload_survives_the_death_of_the_daemon_and_of_the_run(services: Services, victim: str) -> None:
    forget_symbol(services.install.database, "RRC")
    with httpx.Client(base_url=services.api, timeout=60) as client:
        with held(services, "symbol_factors"):
            made = upload(client, csv_of(["RRC"]), account_name=f"death of {victim}").json()["portfolio_id"]
            if victim == "spawn_main":  # the process of the run, which waits for our lock
                await_row(
                    services.install.database,
                    "SELECT 1 FROM symbol_universe WHERE symbol = 'RRC' AND leased_by IS NOT NULL",
                )
            kill(services, victim)
        assert await_settled(client, [made]) == {"completed"}
    wait_until_idle(services)


def test_an_upload_whose_answer_was_lost_with_the_api_is_there_and_is_not_made_twice(services: Services) -> None:
    request = {"Idempotency-Key": "lost"}
    content = csv_of(["AAPL", "KO"])
    with httpx.Client(base_url=services.api, timeout=60) as client:
        with ThreadPoolExecutor(1) as pool, held(services, "portfolios"):
            # It commits, and then waits for our lock to write the snapshot.
            lost = pool.submit(upload, client, content, request, account_name="lost answer")
            await_row(services.install.database, "SELECT 1 FROM uploads WHERE idempotency_key = 'lost'")
            kill(services, "uvicorn")
            assert isinstance(lost.exception(), httpx.HTTPError)
        await_port(services.api)
        again = upload(client, content, request, account_name="lost answer")
        assert (again.status_code, again.json()["repeated"]) == (200, True)
        assert await_settled(client, [again.json()["portfolio_id"]]) == {"completed"}


def test_a_run_that_is_queued_while_the_daemon_is_dead_is_launched_once(services: Services) -> None:
    kill(services, "dagster-daemon")
    run_id = launch_night(services, ("2022-05-31", "2022-05-31"))
    wait_until_idle(services)
    query = """query ($id: ID!) { runOrError(runId: $id) { ... on Run {
        status eventConnection { events { __typename } } } } }"""
    run = services.ask(query, id=run_id)["runOrError"]
    assert run["status"] == "SUCCESS"
    assert run["eventConnection"]["events"].count({"__typename": "RunStartingEvent"}) == 1
    query = "SELECT run_id, status FROM batch_run_history WHERE session = '2022-05-31' AND job_type = 'symbol_batch'"
    assert rows(services.install.database, query) == [(run_id, "completed")]


def test_a_port_that_is_taken_is_named_with_its_setting(services: Services) -> None:
    status, output, errors = services.install.call("up")
    assert (status, output) == (1, "")
    assert "is taken" in errors
    assert "CLOSINGBELL_WEBSERVER_PORT" in errors


# Last: once its code server has been killed, the webserver may launch no run until the code is reloaded.
@pytest.mark.parametrize("victims", ["spawn_main", "spawn_main|dagster.*grpc"])
def test_a_batch_whose_processes_are_killed_is_completed_later(
    services: Services, victims: str, undisturbed: Database
) -> None:
    forget_night(services)
    run_id = launch_night(services, NIGHT)
    await_writing(services, run_id)
    kill(services, victims)
    assert_night_completed(services, undisturbed, run_id)

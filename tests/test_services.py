"""`closingbell up`: the real webserver, daemon and API, driven as a browser would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dagster as dg
import httpx
import pytest
from plant import LAST, PROGRAM, Install, await_row, await_writer, copy_of, hashes, last_sessions, run_batch
from plant_on_dagster import Plant
from provider_contract import nyse
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from uploading import csv_of, forget_symbol, rows_of, upload

from closingbell.batch.factors import compute_factors
from closingbell.batch.prices import refresh_prices
from closingbell.calendar import NEW_YORK
from closingbell.errors import DatabaseError
from closingbell.jobs import PORTFOLIO_STEPS, SYMBOL_STEPS, lease_of
from closingbell.postgres import EmbeddedPostgres
from closingbell.providers.demo import DemoProvider
from closingbell.repositories.database import Database, dagster_url_beside
from closingbell.settings import ROOT
from resources.tracker import RANGE_END, RANGE_START

SESSIONS = last_sessions(70)
"""More than one run takes, with Thanksgiving and Christmas between them."""

ASSETS = [*SYMBOL_STEPS, *PORTFOLIO_STEPS]
COMPUTED = ("market_data_cache", "symbol_factor_exposures", "symbol_daily_metrics", "portfolio_snapshots")


class Services:
    """The addresses of what `up` serves, and its process."""

    def __init__(self, install: Install, process: int, webserver_port: int, api_port: int) -> None:
        self.install = install
        self.process = process
        self.dagster = f"http://127.0.0.1:{webserver_port}"
        self.api = f"http://127.0.0.1:{api_port}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Send GraphQL to the webserver, as its own pages do."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.dagster}/graphql", json=body, timeout=60).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(install: Install) -> Iterator[Services]:
    """Run `closingbell up` on ports of its own, as long as the block lasts."""
    ports = free_port(), free_port()
    variables = {"CLOSINGBELL_WEBSERVER_PORT": str(ports[0]), "CLOSINGBELL_API_PORT": str(ports[1])}
    install = replace(install, variables={**install.variables, **variables})
    with install.start("up") as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            assert str(ports[0]) in lines[0], lines
            yield Services(install, process.pid, *ports)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def services(
    server: EmbeddedPostgres, seeded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    with served(Install(tmp_path_factory.mktemp("up"), copy_of(server, seeded_template))) as started:
        yield started


LAUNCH = """
mutation ($keys: [String!]!, $assets: [AssetKeyInput!]!) {
  launchPartitionBackfill(backfillParams: {partitionNames: $keys, assetSelection: $assets}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
BACKFILL = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
STATUSES = """
query ($assets: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $assets) {
    assetKey { path }
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
  }
}
"""


def keys_of(assets: list[str]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]


def backfill(services: Services, assets: list[str], keys: list[str]) -> str:
    """Launch a backfill as the UI does and wait until it has ended; return its status."""
    launched = services.ask(LAUNCH, keys=keys, assets=keys_of(assets))["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    deadline = monotonic() + 180
    while monotonic() < deadline:
        found = services.ask(BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
        if found not in {"REQUESTED", "COMPLETED"}:
            return str(found)
        sleep(0.5)
    raise AssertionError("the backfill has not ended")


def test_a_backfill_chosen_in_the_ui_materializes_the_range_and_writes_the_rows_of_the_command_line(
    services: Services, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    keys = [day.isoformat() for day in SESSIONS]
    assert backfill(services, ASSETS, keys) == "COMPLETED_SUCCESS"
    for node in services.ask(STATUSES, assets=keys_of(ASSETS))["assetNodes"]:
        # One range: no weekend or holiday lies between its ends as a partition that is missing.
        assert node["assetPartitionStatuses"]["ranges"] == [
            {"startKey": keys[0], "endKey": keys[-1], "status": "MATERIALIZED"}
        ], node["assetKey"]
    alone = copy_of(server, seeded_template)
    run_batch(alone, demo, SESSIONS)
    assert hashes(services.install.database, COMPUTED) == hashes(alone, COMPUTED)
    with services.install.database.transaction() as connection:
        told = connection.execute(
            text("SELECT DISTINCT job_type, status, split_part(trigger, ' ', 1) FROM batch_run_history")
        )
        assert set(map(tuple, told)) == {
            ("symbol_batch", "completed", "backfill"),
            ("portfolio_refresh", "completed", "backfill"),
        }


def test_the_ui_knows_the_sessions_the_groups_the_checks_and_what_runs_by_itself(services: Services) -> None:
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
    assert {each["name"]: each["scheduleState"]["status"] for each in repository["schedules"]} == {
        "symbol_batch_2100": "RUNNING",
        "portfolio_refresh_2130": "RUNNING",
        "freshness_2230": "RUNNING",
        "feedback_learning_2000": "RUNNING",
        "admin_metrics_2030": "RUNNING",
    }
    assert {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]} == {
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
    sick = ["all"]
    while sick and monotonic() < deadline:
        statuses = services.ask(query)["instance"]["daemonHealth"]["allDaemonStatuses"]
        sick = [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]
        sleep(0.5)
    assert sick == []


def test_the_api_is_alive_ready_and_knows_how_fresh_the_prices_are(services: Services) -> None:
    assert httpx.get(f"{services.api}/health/live").json() == {"status": "alive"}
    assert httpx.get(f"{services.api}/health/ready").json() == {"status": "ready", "mode": "db_fallback"}
    fresh = httpx.get(f"{services.api}/api/v1/admin/data/freshness").json()
    assert fresh["expected"] == LAST.isoformat()
    assert fresh["level"] in {"current", "critical"}


def descendants(process: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by process id."""
    # Without -ww the lines would be cut off where the terminal's would be.
    ps = ["ps", "-ww", "-eo", "pid=,ppid=,args="]
    listing = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    children: dict[int, list[tuple[int, str]]] = {}
    for own, parent, line in rows:
        children.setdefault(int(parent), []).append((int(own), line))
    found: dict[int, str] = {}
    waiting = [process]
    while waiting:
        for pid, command in children.get(waiting.pop(), ()):
            found[pid] = command
            waiting.append(pid)
    return found


def launch_night(services: Services, sessions: tuple[str, str]) -> str:
    """Launch a symbol batch as the tracker does; return its run."""
    range_tags = [{"key": key, "value": day} for key, day in zip((RANGE_START, RANGE_END), sessions, strict=True)]
    query = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { runId } } } }"""
    selector = {
        "repositoryLocationName": "closingbell",
        "repositoryName": "__repository__",
        "jobName": "symbol_batch",
    }
    params = {"selector": selector, "executionMetadata": {"tags": range_tags}}
    return str(services.ask(query, params=params)["launchRun"]["run"]["runId"])


def await_writing(services: Services, run_id: str) -> None:
    """Wait until the process of a run has begun to work."""
    deadline = monotonic() + 60
    while not services.install.database.is_leased(lease_of(run_id)):
        assert monotonic() < deadline
        sleep(0.02)


START = """
import sys
from concurrent.futures import ThreadPoolExecutor
import dagster as dg
from closingbell.batch.factors import compute_factors
from closingbell.batch.prices import refresh_prices
from closingbell.jobs import JobRunningError, JobType
from closingbell.repositories.database import Database
from datetime import date
from resources.tracker import JobTracker, launcher
port, url, calls, *jobs = sys.argv[1:]
days = [date.fromisoformat(day) for day in ("2022-06-01", "2022-08-26")]
with dg.DagsterInstance.get() as instance:
    tracker = JobTracker(instance, Database(url), launcher("127.0.0.1", int(port)))
    def start(job):
        sessions = days if job == "symbol_batch" else ()
        try:
            return "started " + tracker.start_job(JobType(job), sessions)
        except JobRunningError as error:
            return "refused " + error.run_id
    with ThreadPoolExecutor(len(jobs) * int(calls)) as pool:
        for answer in pool.map(start, jobs * int(calls)):
            print(answer)
"""


def start_jobs(services: Services, processes: int, calls: int, *jobs: str) -> list[str]:
    """Ask for jobs from several processes at once; return every answer."""
    install = services.install
    url = install.database.url.render_as_string(hide_password=False)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(install.home / "dagster"),
        "DAGSTER_STORAGE_URL": dagster_url_beside(url),
    }
    command = [sys.executable, "-c", START, services.dagster.rsplit(":")[-1], url, str(calls), *jobs]
    started = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return [line for process in started for line in process.communicate(timeout=120)[0].splitlines()]


def test_of_fifty_calls_for_one_job_from_four_processes_one_starts_it(services: Services) -> None:
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
    query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    for answer in answers:
        assert services.ask(query, id=answer.split()[1])["runOrError"]["status"] == "SUCCESS"


IDLE = "{runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}) {... on Runs {results {runId}}}}"


def wait_until_idle(services: Services) -> None:
    deadline = monotonic() + 120
    while services.ask(IDLE)["runsOrError"]["results"]:
        assert monotonic() < deadline
        sleep(0.5)


def test_an_upload_of_a_new_symbol_is_complete_seconds_later_with_the_rows_of_the_batch(services: Services) -> None:
    database = services.install.database
    batch = rows_of(database, "RRC")
    forget_symbol(database, "RRC")
    with httpx.Client(base_url=services.api, timeout=60) as client:
        made = upload(client, csv_of(["AAPL", "RRC"]), account_name="one new symbol").json()
        assert (made["status"], made["pending"]) == ("pending", ["RRC"])
        assert await_settled(client, [made["portfolio_id"]]) == {"completed"}
    assert rows_of(database, "RRC") == batch


def test_of_thirty_two_uploads_at_once_that_share_new_symbols_each_is_learnt_once(services: Services) -> None:
    database = services.install.database
    shared = ("RRC", "BBY", "GE", "PFE", "AMD")
    for symbol in shared:
        forget_symbol(database, symbol)
    with httpx.Client(base_url=services.api, timeout=60) as client:

        def one(number: int) -> int:
            chosen = csv_of(["AAPL", *shared[number % 5 :], *shared[: number % 3]])
            key: int = upload(client, chosen, account_name=f"one of many {number}").json()["portfolio_id"]
            return key

        with ThreadPoolExecutor(32) as pool:
            keys = list(pool.map(one, range(32)))
        assert await_settled(client, keys) == {"completed"}
    with database.transaction() as connection:
        attempts = connection.execute(
            text("SELECT symbol, attempts FROM symbol_universe WHERE symbol = ANY(:shared)"), {"shared": list(shared)}
        )
        assert dict(map(tuple, attempts)) == dict.fromkeys(shared, 1)


def await_settled(client: httpx.Client, portfolio_ids: list[int]) -> set[str]:
    """Wait until nothing is pending any more; return the states of the portfolios."""
    deadline = monotonic() + 120
    while True:
        found = {client.get(f"/api/v1/onboarding/status/{key}").json()["status"] for key in portfolio_ids}
        if not found & {"pending", "running"}:
            return found
        assert monotonic() < deadline, found
        sleep(0.2)


def kill(services: Services, pattern: str) -> None:
    """Kill those processes of the services whose command line matches."""
    victims = [pid for pid, command in descendants(services.process).items() if re.search(pattern, command)]
    assert victims, pattern
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def held(services: Services, lock: str) -> Iterator[None]:
    """Keep whoever needs a lock waiting, as long as the block lasts."""
    with services.install.database.transaction(lock=lock):
        yield


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


def await_port(address: str) -> None:
    deadline = monotonic() + 60
    while True:
        try:
            httpx.get(f"{address}/health/live")
        except httpx.HTTPError:
            assert monotonic() < deadline
            sleep(0.2)
        else:
            return


def test_a_run_that_is_queued_while_the_daemon_is_dead_is_launched_once(services: Services) -> None:
    kill(services, "dagster-daemon")
    run_id = launch_night(services, ("2022-05-31", "2022-05-31"))
    wait_until_idle(services)
    query = """query ($id: ID!) { runOrError(runId: $id) { ... on Run {
        status eventConnection { events { __typename } } } } }"""
    run = services.ask(query, id=run_id)["runOrError"]
    assert run["status"] == "SUCCESS"
    assert run["eventConnection"]["events"].count({"__typename": "RunStartingEvent"}) == 1
    with services.install.database.transaction() as connection:
        told = "SELECT run_id, status FROM batch_run_history WHERE session = '2022-05-31' AND job_type = 'symbol_batch'"
        assert [tuple(row) for row in connection.execute(text(told))] == [(run_id, "completed")]


EVENING = datetime.combine(LAST, time(21, 5), NEW_YORK)
"""Five minutes after the batch of the last session was due."""


def test_a_night_whose_daemon_dies_between_its_tick_and_its_run_is_computed_once(
    plant: Plant, tmp_path: Path, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    dagster = Database(os.environ["DAGSTER_STORAGE_URL"])
    # The combined batch: the whole night is one run.
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
    assert plant.stories() == [("daily_batch", LAST, "completed", [])]
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


def test_stopped_in_the_middle_of_a_run_nothing_goes_on_and_the_run_is_made_up_for_at_the_next_start(
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


def is_alive(pid: int) -> bool:
    """Tell whether a process works; one that nobody has buried does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


def test_a_port_that_is_taken_is_named_with_its_setting(services: Services) -> None:
    status, output, errors = services.install.call("up")
    assert (status, output) == (1, "")
    assert "is taken" in errors
    assert "CLOSINGBELL_WEBSERVER_PORT" in errors


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


NIGHT = ("2022-03-01", "2022-05-27")


@pytest.fixture(scope="module")
def undisturbed(server: EmbeddedPostgres, seeded_template: str, demo: DemoProvider) -> Database:
    """What a night leaves behind when nothing dies in it."""
    database = copy_of(server, seeded_template)
    sessions = nyse().sessions(date.fromisoformat(NIGHT[0]), date.fromisoformat(NIGHT[1]))
    refresh_prices(database, sessions, provider=demo, calendar=nyse())
    compute_factors(database, sessions, calendar=nyse())
    return database


def assert_made_up_for(services: Services, undisturbed: Database, run_id: str) -> None:
    """Whoever died in the run `run_id`: it ends, a run completes the night by itself, and its rows are right."""
    await_row(
        services.install.database,
        f"""SELECT 1 FROM batch_run_history WHERE job_type = 'symbol_batch' AND session = '{NIGHT[0]}'
            AND status = 'completed'""",
        within=170,
    )
    wait_until_idle(services)
    status = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    assert services.ask(status, id=run_id)["runOrError"]["status"] in {"FAILURE", "SUCCESS"}
    # By name: symbols that were forgotten and learnt again have other keys.
    query = """
        SELECT u.symbol, to_jsonb(t) - 'symbol_id' FROM symbol_factor_exposures t
        JOIN symbol_universe u ON u.id = t.symbol_id
        WHERE session BETWEEN :first AND :last ORDER BY u.symbol, t.session, t.factor_id
    """
    bounds = {"first": NIGHT[0], "last": NIGHT[1]}
    with services.install.database.transaction() as ours, undisturbed.transaction() as theirs:
        assert ours.execute(text(query), bounds).all() == theirs.execute(text(query), bounds).all()


def forget_night(services: Services) -> None:
    """Let the night be one that has never been computed."""
    with services.install.database.transaction() as connection:
        for table in ("symbol_factor_exposures", "symbol_daily_metrics", "batch_run_history"):
            statement = text(f"DELETE FROM {table} WHERE session BETWEEN :first AND :last")
            connection.execute(statement, {"first": NIGHT[0], "last": NIGHT[1]})


def test_a_batch_whose_embedded_database_is_killed_while_it_writes_is_made_up_for(
    tmp_path: Path, undisturbed: Database
) -> None:
    """`up` starts the database again; nobody else does."""
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
        # The webserver notices with its next question that its connection is gone, and opens another.
        while "errors" in httpx.post(f"{services.dagster}/graphql", json={"query": IDLE}, timeout=60).json():
            assert monotonic() < deadline
        assert_made_up_for(services, undisturbed, run_id)
    assert not embedded.is_running()


def started_at(database: Database) -> datetime | None:
    """Return since when the server runs, or None while it does not."""
    with suppress(DatabaseError, DBAPIError), database.transaction() as connection:
        moment: datetime = connection.execute(text("SELECT pg_postmaster_start_time()")).scalar_one()
        return moment
    return None


# Last, since the webserver may not launch anything more once its code server has been killed, until it is reloaded.
@pytest.mark.parametrize("victims", ["spawn_main", "spawn_main|dagster.*grpc"])
def test_a_batch_whose_processes_are_killed_is_made_up_for(
    services: Services, victims: str, undisturbed: Database
) -> None:
    forget_night(services)
    run_id = launch_night(services, NIGHT)
    await_writing(services, run_id)
    kill(services, victims)
    assert_made_up_for(services, undisturbed, run_id)

"""`closingbell up`, driven by the GraphQL of its pages, by its API, and by killing its processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, time
from time import monotonic, sleep
from typing import Any

import httpx
from plant import LAST, Install, await_row, last_sessions
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from closingbell.batch.steps import STEPS
from closingbell.errors import DatabaseError
from closingbell.install.settings import ROOT
from closingbell.market.calendar import NEW_YORK
from closingbell.repositories import locks
from closingbell.repositories.database import Database, dagster_url_beside
from resources.jobs import RANGE_END, RANGE_START

SESSIONS = last_sessions(70)
"""More sessions than one run computes, with Thanksgiving and Christmas among them."""

ASSETS = [step.name for step in STEPS]
NIGHT = ("2022-03-01", "2022-05-27")
"""The first and the last session of a batch that takes long enough to be killed."""

EVENING = datetime.combine(LAST, time(21, 5), NEW_YORK)
"""Five minutes after the batch of the last session was due."""


class Services:
    """The addresses of what `up` serves, and its process."""

    def __init__(self, install: Install, process: int, webserver_port: int, api_port: int) -> None:
        self.install = install
        self.process = process
        self.dagster = f"http://127.0.0.1:{webserver_port}"
        self.api = f"http://127.0.0.1:{api_port}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Send GraphQL to the webserver, as its pages do."""
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
        status = services.ask(BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
        if status not in {"REQUESTED", "COMPLETED"}:
            return str(status)
        sleep(0.5)
    raise AssertionError("the backfill has not ended")


def descendants(process: int) -> dict[int, str]:
    """Return the command lines of all descendants of a process, by process id."""
    # Without -ww ps cuts the lines off at the width of a terminal.
    ps = ["ps", "-ww", "-eo", "pid=,ppid=,args="]
    listing = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    children: dict[int, list[tuple[int, str]]] = {}
    for own, parent, line in rows:
        children.setdefault(int(parent), []).append((int(own), line))
    commands: dict[int, str] = {}
    waiting = [process]
    while waiting:
        for pid, command in children.get(waiting.pop(), ()):
            commands[pid] = command
            waiting.append(pid)
    return commands


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
    while not services.install.database.is_leased(locks.run(run_id)):
        assert monotonic() < deadline
        sleep(0.02)


START = """
import sys
from concurrent.futures import ThreadPoolExecutor
import dagster as dg
from closingbell.batch.factors import compute_factors
from closingbell.batch.prices import refresh_prices
from closingbell.operations.jobs import JobRunningError, JobType
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
    """Start jobs from several processes at once; return every answer."""
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


IDLE = "{runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}) {... on Runs {results {runId}}}}"


def wait_until_idle(services: Services) -> None:
    deadline = monotonic() + 120
    while services.ask(IDLE)["runsOrError"]["results"]:
        assert monotonic() < deadline
        sleep(0.5)


def await_settled(client: httpx.Client, portfolio_ids: list[int]) -> set[str]:
    """Wait until no symbol is pending; return the states of the portfolios."""
    deadline = monotonic() + 120
    while True:
        states = {client.get(f"/api/v1/onboarding/status/{key}").json()["status"] for key in portfolio_ids}
        if not states & {"pending", "running"}:
            return states
        assert monotonic() < deadline, states
        sleep(0.2)


def kill(services: Services, pattern: str) -> None:
    """Kill the processes of the services whose command line matches."""
    victims = [pid for pid, command in descendants(services.process).items() if re.search(pattern, command)]
    assert victims, pattern
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def held(services: Services, lock: str) -> Iterator[None]:
    """Hold a lock as long as the block lasts."""
    with services.install.database.transaction(lock=lock):
        yield


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


def is_alive(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


RUN_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def status_of(services: Services, run_id: str) -> str:
    """Return Dagster's status of a run."""
    return str(services.ask(RUN_STATUS, id=run_id)["runOrError"]["status"])


def assert_night_completed(services: Services, undisturbed: Database, run_id: str) -> None:
    """Check that the killed run ends, and that another completes the night with the rows of an undisturbed one."""
    await_row(
        services.install.database,
        f"""SELECT 1 FROM batch_run_history WHERE job_type = 'symbol_batch' AND session = '{NIGHT[0]}'
            AND status = 'completed'""",
        within=170,
    )
    wait_until_idle(services)
    assert status_of(services, run_id) in {"FAILURE", "SUCCESS"}
    # By name: symbols that were deleted and onboarded again have other keys.
    query = """
        SELECT u.symbol, to_jsonb(t) - 'symbol_id' FROM symbol_factor_exposures t
        JOIN symbol_universe u ON u.id = t.symbol_id
        WHERE session BETWEEN :first AND :last ORDER BY u.symbol, t.session, t.factor_id
    """
    bounds = {"first": NIGHT[0], "last": NIGHT[1]}
    with services.install.database.transaction() as ours, undisturbed.transaction() as theirs:
        assert ours.execute(text(query), bounds).all() == theirs.execute(text(query), bounds).all()


def forget_night(services: Services) -> None:
    """Delete the rows of the night, as if it had never been computed."""
    with services.install.database.transaction() as connection:
        for table in ("symbol_factor_exposures", "symbol_daily_metrics", "batch_run_history"):
            statement = text(f"DELETE FROM {table} WHERE session BETWEEN :first AND :last")
            connection.execute(statement, {"first": NIGHT[0], "last": NIGHT[1]})


def started_at(database: Database) -> datetime | None:
    """Return when the server started, or None while it does not run."""
    with suppress(DatabaseError, DBAPIError), database.transaction() as connection:
        moment: datetime = connection.execute(text("SELECT pg_postmaster_start_time()")).scalar_one()
        return moment
    return None

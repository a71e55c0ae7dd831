"""`closingbell up`: the real webserver, daemon and API, driven as a browser would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from plant import LAST, PROGRAM, Install, copy_of, hashes, last_sessions, run_batch
from sqlalchemy import text

from assets.step import STEPS
from closingbell.postgres import EmbeddedPostgres
from closingbell.providers.demo import DemoProvider
from closingbell.settings import ROOT

SESSIONS = last_sessions(70)
"""More than one run takes, with Thanksgiving and Christmas between them."""

ASSETS = [step for steps in STEPS.values() for step in steps]
COMPUTED = ("market_data_cache", "symbol_factor_exposures", "symbol_daily_metrics", "portfolio_snapshots")


class Services:
    """The addresses of what `up` serves."""

    def __init__(self, install: Install, webserver_port: int, api_port: int) -> None:
        self.install = install
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


@pytest.fixture(scope="module")
def services(
    server: EmbeddedPostgres, seeded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    ports = free_port(), free_port()
    variables = {"CLOSINGBELL_WEBSERVER_PORT": str(ports[0]), "CLOSINGBELL_API_PORT": str(ports[1])}
    install = Install(tmp_path_factory.mktemp("up"), copy_of(server, seeded_template), variables)
    with install.start("up") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert str(ports[0]) in lines[0], lines
        yield Services(install, *ports)
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
    }
    assert {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]} == {
        "orphaned_runs": "RUNNING"
    }


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

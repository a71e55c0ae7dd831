"""The command line, called as a process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from plant import LAST, Install, await_writer, copy_of, hashes, last_sessions, rows, run_batch
from sqlalchemy import text

from closingbell.calculations.factor_definitions import FACTORS
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.providers.demo import DemoProvider
from closingbell.repositories.database import Database

pytestmark = pytest.mark.plant

SESSIONS = last_sessions(10)
WRITTEN = (
    "symbol_universe",
    "market_data_cache",
    "company_profiles",
    "income_statements",
    "symbol_factor_exposures",
    "symbol_daily_metrics",
    "portfolio_snapshots",
    "factor_exposures",
    "position_factor_exposures",
)


# ---------------------------------------------------------------- the main job


def test_init_run_status_and_psql_work_on_the_embedded_server_and_leave_nothing_running(tmp_path: Path) -> None:
    """One install from nothing, with the defaults, as `make run` does it."""
    install = Install(tmp_path, Database("postgresql:///unused"), {"DATABASE_URL": ""})
    assert install.call("init")[:2] == (0, "Ready: 34 new symbols, 3 new portfolios.\n")
    assert install.call("init")[:2] == (0, "Ready: 0 new symbols, 0 new portfolios.\n")

    status, output, errors = install.call("run", "--from", str(SESSIONS[0]))
    assert (status, errors) == (0, "")
    assert f"Materializing 10 sessions from {SESSIONS[0]} to {LAST}" in output
    assert "20 stocks, 8 funds, 6 option contracts, 2 Dagster runs" in output
    assert "symbol_factor_exposures" in output
    assert all(name in output for name in ("Balanced Growth", "Hedged Equity", "Family Office", "NAV"))
    assert "demo data" in output
    assert "make up" in output
    assert "Failed checks" not in output

    status, output, errors = install.call("status")
    assert (status, errors) == (0, "")
    assert f"provider demo, latest session {LAST}" in output
    assert "next: symbol_batch on" in output
    assert "completed" in output
    status, output, _ = install.call("status", "--json")
    assert status == 0
    assert {reach["table"]: reach["behind"] for reach in json.loads(output)["reach"]}["portfolio_snapshots"] == 0

    status, output, _ = install.call("psql", "-tAc", "SELECT count(*) FROM portfolio_snapshots")
    assert (status, output.strip()) == (0, "30")
    assert not EmbeddedPostgres(tmp_path / "postgres").is_running()


def test_a_second_run_changes_nothing(install: Install, demo: DemoProvider) -> None:
    install.prepared()
    run_batch(install.database, demo, SESSIONS)
    before = hashes(install.database, WRITTEN)
    for _ in range(2):
        assert install.call("run", "--from", str(SESSIONS[0]))[0] == 0
    assert hashes(install.database, WRITTEN) == before


def test_a_run_of_one_job_leaves_the_other_s_tables_alone(install: Install) -> None:
    install.prepared()
    assert install.call("run", "--from", str(LAST), "--job", "symbol_batch")[0] == 0
    assert rows(install.database, "SELECT count(*) FROM symbol_factor_exposures") == [(28 * len(FACTORS),)]
    assert rows(install.database, "SELECT count(*) FROM portfolio_snapshots") == [(0,)]


def test_switching_the_mode_back_and_forth_loses_nothing(install: Install, demo: DemoProvider) -> None:
    install.prepared()
    run_batch(install.database, demo, SESSIONS)
    before = hashes(install.database, WRITTEN)
    for mode in ("false", "true"):
        assert install.call("run", "--from", str(SESSIONS[-3]), BATCH_V2_ENABLED=mode)[0] == 0
        assert hashes(install.database, WRITTEN) == before
    job_types = rows(install.database, "SELECT job_type FROM batch_run_history GROUP BY 1 ORDER BY 1")
    assert job_types == [("daily_batch",), ("portfolio_refresh",), ("symbol_batch",)]


def test_two_runs_of_the_same_sessions_at_once_leave_the_rows_of_one(
    install: Install, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    install.prepared()
    both = [install.start("run", "--from", str(SESSIONS[0])) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    alone = copy_of(server, seeded_template)
    run_batch(alone, demo, SESSIONS)
    assert hashes(install.database, WRITTEN) == hashes(alone, WRITTEN)


@pytest.mark.parametrize("table", ["symbol_factor_exposures", "position_factor_exposures"])
def test_killed_in_the_middle_it_leaves_no_half_session_and_the_next_run_completes_it(
    install: Install, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str, table: str
) -> None:
    install.prepared()
    sessions = last_sessions(70)
    with install.start("run", "--from", str(sessions[0])) as process:
        await_writer(install.database, table)
        process.send_signal(signal.SIGKILL)
    per_session = rows(install.database, f"SELECT count(*) FROM {table} GROUP BY session")
    undisturbed = copy_of(server, seeded_template)
    run_batch(undisturbed, demo, sessions)
    assert set(per_session) <= set(rows(undisturbed, f"SELECT count(*) FROM {table} GROUP BY session"))

    status, output, errors = install.call("run", "--from", str(sessions[0]))
    assert (status, errors) == (0, ""), output
    assert hashes(install.database, WRITTEN) == hashes(undisturbed, WRITTEN)


def test_psql_opens_a_server_that_asks_for_a_password(install: Install, server: EmbeddedPostgres) -> None:
    with install.database.transaction() as connection:
        connection.execute(text("CREATE ROLE bell LOGIN PASSWORD 's3cret'"))
    rules = server.data / "pg_hba.conf"
    rules.write_text(f"local all bell scram-sha-256\n{rules.read_text()}")
    with install.database.transaction() as connection:
        connection.execute(text("SELECT pg_reload_conf()"))
    # pragma: allowlist nextline secret
    url = f"postgresql://bell:s3cret@/{install.database.url.database}?host={server.socket_folder}"
    status, output, errors = install.call("psql", "-tAc", "SELECT current_user", DATABASE_URL=url)
    assert (status, output.strip()) == (0, "bell"), errors
    assert "s3cret" not in Database(url).address()
    refused = install.call("psql", "-tAc", "SELECT 1", DATABASE_URL=url.replace("s3cret", "wrong"))
    assert refused[0] != 0  # the server checks the password


# ---------------------------------------------------------------- errors are one line


WRONG = {
    "unreachable database": (
        {"DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/closingbell"},  # pragma: allowlist secret
        ["init"],
        "cannot reach the database",
    ),
    "not PostgreSQL": ({"DATABASE_URL": "mysql://localhost/x"}, ["init"], "the setting DATABASE_URL is wrong"),
    "unknown provider": ({"CLOSINGBELL_PROVIDER": "bloomberg"}, ["init"], "unknown market-data provider 'bloomberg'"),
    "closures that are no list": ({"CLOSINGBELL_EXTRA_CLOSURES": "tomorrow"}, ["init"], "a setting is not valid JSON"),
    "a port that is none": ({"CLOSINGBELL_API_PORT": "http"}, ["up"], "the setting CLOSINGBELL_API_PORT is wrong"),
    "a Saturday": ({}, ["run", "--from", "2022-12-24"], "2022-12-24 is not a NYSE session"),
    "a session to come": ({}, ["run", "--to", "2022-12-29"], "there is no data for 2022-12-29 yet"),
    "before the first partition": ({}, ["run", "--from", "2000-01-03"], "there is no partition before 2001-01-02"),
    "an empty range": ({}, ["run", "--from", "2022-12-28", "--to", "2022-12-27"], "the range is empty"),
    "an unknown job": ({}, ["run", "--job", "nightly"], "there is no job 'nightly'"),
    "a job of the other mode": (
        {},
        ["run", "--job", "daily_batch"],
        "there is no daily_batch while BATCH_V2_ENABLED is true",
    ),
    "a job of this mode in the other": (
        {"BATCH_V2_ENABLED": "false"},
        ["run", "--job", "symbol_batch"],
        "there is no symbol_batch while BATCH_V2_ENABLED is false",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_or_argument_is_one_clear_line(install: Install, case: str) -> None:
    variables, arguments, message = WRONG[case]
    status, output, errors = install.call(*arguments, **variables)
    assert status == 1
    assert output == ""
    assert errors.startswith("error: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert "secret" not in errors


def test_an_empty_universe_is_one_clear_line(install: Install) -> None:
    install.prepared()
    with install.database.transaction() as connection:
        connection.execute(text("UPDATE symbol_universe SET status = 'inactive'"))
    status, output, errors = install.call("run", "--from", str(LAST))
    assert status == 1
    assert "the universe has no active symbols" in errors
    assert errors.count("\n") == 1
    assert "Traceback" not in output + errors


def test_before_init_every_command_says_to_run_init(server: EmbeddedPostgres, tmp_path: Path) -> None:
    install = Install(tmp_path, Database(server.url("never_made")))
    for command in ("run", "status"):
        status, output, errors = install.call(command)
        assert (status, output) == (1, "")
        assert "Run `closingbell init`" in errors


def test_help_names_every_command_and_option(install: Install) -> None:
    _, output, _ = install.call("--help")
    assert all(command in output for command in ("init", "run", "up", "status", "psql"))
    _, output, _ = install.call("run", "--help")
    assert all(option in output for option in ("--from", "--to", "--job"))

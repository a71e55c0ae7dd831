"""The embedded server: one per folder, shared by processes, stopped by the last one."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from closingbell.install.postgres import MAX_SOCKET_PATH, EmbeddedPostgres
from closingbell.install.settings import ROOT
from closingbell.repositories.database import Database

pytestmark = pytest.mark.plant

HOLD = """
import sys
from pathlib import Path
from closingbell.install.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.acquire()
print("up", flush=True)
sys.stdin.read()
server.release()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one test; a server that still runs in it afterwards is stopped."""
    yield tmp_path
    server = EmbeddedPostgres(tmp_path / "postgres")
    if server.is_running():
        server.acquire()
        server.release()


def hold(data: Path) -> subprocess.Popen[str]:
    """Start a process that uses the server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def answer(server: EmbeddedPostgres) -> int:
    with Database(server.url("postgres")).transaction() as connection:
        return int(connection.execute(text("SELECT 42")).scalar_one())


def create_table(server: EmbeddedPostgres) -> None:
    with Database(server.url("postgres")).transaction() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))


def assert_table_exists(server: EmbeddedPostgres) -> None:
    with Database(server.url("postgres")).transaction() as connection:
        assert connection.execute(text("SELECT number FROM kept")).scalar_one() == 7


def test_the_server_starts_when_needed_and_keeps_its_data(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    assert not server.is_running()
    server.acquire()
    create_table(server)
    server.release()
    assert not server.is_running()
    server.acquire()
    assert_table_exists(server)
    server.release()


def test_processes_share_the_server_and_the_last_one_stops_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    with hold(folder / "postgres") as first:
        with hold(folder / "postgres") as second:
            assert answer(server) == 42
            second.communicate("")
            assert second.returncode == 0
        assert answer(server) == 42
        first.communicate("")
    assert not server.is_running()


def test_a_killed_process_does_not_keep_the_server_running(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    with hold(folder / "postgres") as killed:
        killed.send_signal(signal.SIGKILL)
    assert server.is_running()
    server.acquire()
    assert answer(server) == 42
    server.release()
    assert not server.is_running()


def test_after_a_crash_the_server_starts_again_with_all_committed_data(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    server.acquire()
    create_table(server)
    postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    server.release()
    again = EmbeddedPostgres(folder / "postgres")
    again.acquire()
    assert_table_exists(again)
    again.release()


def test_a_path_too_long_for_a_socket_works(folder: Path) -> None:
    deep = folder / ("long name " * 8) / ("é" * 30)
    server = EmbeddedPostgres(deep / "postgres")
    assert len(os.fsencode(server.socket_folder / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH
    server.acquire()
    assert answer(server) == 42
    server.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
def test_an_ordinary_user_runs_the_server_as_that_user() -> None:
    nobody = pwd.getpwnam("nobody")
    packages = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])

    def run_as_nobody(program: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "-c", code, *arguments],
            env={"PYTHONPATH": packages},
            cwd="/",
            input="",
            capture_output=True,
            text=True,
            check=False,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        )

    def works(program: str) -> bool:
        with suppress(PermissionError):
            return run_as_nobody(program, "import closingbell.install.postgres").returncode == 0
        return False

    program = next(filter(works, [sys.executable, "/usr/bin/python3"]), None)
    if program is None:
        pytest.skip("other users may not read this checkout, or have no Python")
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        result = run_as_nobody(program, HOLD, f"{home}/postgres")
        assert result.returncode == 0, result.stderr
        assert Path(home, "postgres", "PG_VERSION").stat().st_uid == nobody.pw_uid

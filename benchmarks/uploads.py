"""Uploads to a running install: the time until the answer, and until new symbols are onboarded."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from time import perf_counter, sleep

import httpx
import numpy as np
from sqlalchemy import text

from benchmarks.generated import LAST, calendar
from benchmarks.result import Row, report
from closingbell.accounts import OwnPortfolios, Upload
from closingbell.batch.onboarding import Onboarding
from closingbell.ledger.uploads import PortfolioForm, read_positions
from closingbell.market.instruments import Kind
from closingbell.providers.demo import DEMO_STOCKS, DemoProvider
from closingbell.repositories import locks, queue, universe
from closingbell.repositories.database import Database
from closingbell.repositories.queue import SymbolRequest
from closingbell.repositories.tables import Table

KNOWN = tuple(symbol for symbol in DEMO_STOCKS if symbol != "RRC")
REMOVABLE = KNOWN[:10]
"""Stocks that the demo has no options on, so that they can be removed from the plant."""

REQUESTS, TRIALS, AT_ONCE = 100, 20, 32
P95_SECONDS, MEDIAN_TO_COMPLETE, P95_TO_COMPLETE = 0.3, 6.0, 10.0
POLL_SECONDS = 0.05
TODAY = date(2023, 1, 3)

PROGRAM = str(Path(sys.executable).with_name("closingbell"))

_numbers = count()


def uploads(database: Database) -> list[Row]:
    """Measure uploads over HTTP on an install of the demo with its real daemon and sensor."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment, ports = _prepared(database, home)
        provider = DemoProvider()
        alone = {
            number: [_onboarding_alone(database, provider, REMOVABLE[:number]) for _ in range(TRIALS)]
            for number in (1, len(REMOVABLE))
        }
        with _served(home, environment, ports[1]) as client:
            return [*_known(database, client), *_at_once(client), *_new(database, client, alone)]


def _prepared(database: Database, home: Path) -> tuple[dict[str, str], list[int]]:
    """Set up the demo and compute its last sessions; return the install's environment and its ports."""
    ports = [_free_port() for _ in range(2)]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "CLOSINGBELL_ENV_FILE": os.devnull,
        "CLOSINGBELL_HOME": str(home),
        "DATABASE_URL": database.url.render_as_string(hide_password=False),
        "BATCH_V2_ENABLED": "true",
        "CLOSINGBELL_WEBSERVER_PORT": str(ports[0]),
        "CLOSINGBELL_API_PORT": str(ports[1]),
    }
    report("(d) setting up an install of the demo")
    first = calendar().offset(LAST, -4).isoformat()
    for command in (["init"], ["run", "--from", first, "--to", LAST.isoformat()]):
        subprocess.run([PROGRAM, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    return environment, ports


@contextmanager
def _served(home: Path, environment: dict[str, str], port: int) -> Iterator[httpx.Client]:
    """Serve the install as long as the block lasts."""
    with (home / "up.log").open("wb") as log:
        services = subprocess.Popen([PROGRAM, "up"], env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _await_services(client, services)
            yield client
    finally:
        services.send_signal(signal.SIGTERM)
        services.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_services(client: httpx.Client, services: subprocess.Popen[bytes]) -> None:
    """Wait until the API answers and a first upload is complete, so that every module is loaded."""
    while services.poll() is None:
        try:
            client.get("/health/live")
        except httpx.TransportError:
            sleep(0.2)
        else:
            _seconds_to_complete(client, ["SPY230616P00300000"])
            return
    raise SystemExit("the services ended before they answered: run `closingbell up` to see why")


def _upload(client: httpx.Client, symbols: Sequence[str]) -> tuple[int, float]:
    """Upload a portfolio; return its key and the seconds until the answer."""
    form = {"portfolio_name": "P", "account_name": f"A{next(_numbers)}", "account_type": "other"}
    began = perf_counter()
    answer = client.post(
        "/api/v1/onboarding/create-portfolio",
        data={**form, "equity_balance": "1000000"},
        files={"file": ("p.csv", _file(symbols))},
    )
    seconds = perf_counter() - began
    answer.raise_for_status()
    key: int = answer.json()["portfolio_id"]
    return key, seconds


def _file(symbols: Sequence[str]) -> bytes:
    header = "Symbol,Quantity,Entry Price Per Share,Entry Date"
    return "\n".join([header, *(f"{symbol},10,100,2022-03-01" for symbol in symbols), ""]).encode()


def _known(database: Database, client: httpx.Client) -> Iterator[Row]:
    report(f"(d) {REQUESTS} uploads of {len(KNOWN)} known symbols")
    seconds = [_upload(client, KNOWN)[1] for _ in range(REQUESTS)]
    bare = [_in_process(database) for _ in range(REQUESTS)]
    for quantile in (50, 95):
        measured, baseline = np.percentile(seconds, quantile), np.percentile(bare, quantile)
        targets = {f"at most {P95_SECONDS} s": bool(measured <= P95_SECONDS)} if quantile == 95 else {}
        yield Row(
            what=f"upload of {len(KNOWN)} known symbols until the answer with its NAV, p{quantile} of {REQUESTS}",
            against="the same without HTTP, in a warm process",
            seconds=float(measured),
            baseline=float(baseline),
            ratio=f"{measured / baseline:.1f} x as long",
            targets=targets,
        )


def _in_process(database: Database) -> float:
    content = _file(KNOWN)
    began = perf_counter()
    name = f"A{next(_numbers)}"
    form = PortfolioForm("P", name, "other", Decimal(1_000_000), None)
    upload = Upload(form, read_positions(content, today=TODAY), hashlib.sha256(content).hexdigest())
    OwnPortfolios(database, calendar(), "bench").upload(upload, today=TODAY, latest=LAST)
    return perf_counter() - began


def _at_once(client: httpx.Client) -> Iterator[Row]:
    report(f"(d) {AT_ONCE} uploads at once")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = perf_counter()
        seconds = [elapsed for _, elapsed in pool.map(lambda _: _upload(client, KNOWN), range(AT_ONCE))]
        together = perf_counter() - began
    one_by_one = sum(_upload(client, KNOWN)[1] for _ in range(AT_ONCE))
    yield Row(
        what=f"{AT_ONCE} uploads at once, until the last answer (slowest answer after {max(seconds):.2f} s)",
        against="the same uploads one after the other",
        seconds=together,
        baseline=one_by_one,
        ratio=f"{one_by_one / together:.1f} x faster",
    )


def _new(database: Database, client: httpx.Client, alone: dict[int, list[float]]) -> Iterator[Row]:
    for number, bare in alone.items():
        report(f"(d) {TRIALS} uploads of {number} new symbols")
        seconds = []
        for _ in range(TRIALS):
            _await_idle(client)
            _forget(database, REMOVABLE[:number])
            seconds.append(_seconds_to_complete(client, REMOVABLE[:number]))
        for name, quantile, limit in (("median", 50, MEDIAN_TO_COMPLETE), ("p95", 95, P95_TO_COMPLETE)):
            measured, baseline = np.percentile(seconds, quantile), np.percentile(bare, quantile)
            yield Row(
                what=f"{number} new symbol(s), from the answer to completed, through the daemon, {name} of {TRIALS}",
                against="the onboarding alone, in a warm process",
                seconds=float(measured),
                baseline=float(baseline),
                ratio=f"{measured - baseline:.1f} s more",
                targets={f"at most {limit:.0f} s": bool(measured <= limit)},
            )


def _await_idle(client: httpx.Client) -> None:
    """Wait until the previous run has ended, so that uploads do not share a run."""
    while client.get("/api/v1/admin/batch/run/current").json()["status"] != "idle":
        sleep(POLL_SECONDS)


def _forget(database: Database, symbols: Sequence[str]) -> None:
    with database.transaction() as connection:
        ids = {"ids": list(universe.identify(connection, symbols).values())}
        for table in (table.name for table in Table.metadata.sorted_tables if "symbol_id" in table.columns):
            connection.execute(text(f"DELETE FROM {table} WHERE symbol_id = ANY(:ids)"), ids)
        connection.execute(text("DELETE FROM symbol_universe WHERE id = ANY(:ids)"), ids)


def _seconds_to_complete(client: httpx.Client, symbols: Sequence[str]) -> float:
    key, _ = _upload(client, symbols)
    began = perf_counter()
    while client.get(f"/api/v1/onboarding/status/{key}").json()["status"] in {"pending", "running"}:
        sleep(POLL_SECONDS)
    return perf_counter() - began


def _onboarding_alone(database: Database, provider: DemoProvider, symbols: Sequence[str]) -> float:
    """Onboard symbols as a run does, in this process and while no daemon runs."""
    _forget(database, symbols)
    with database.transaction() as connection:
        queue.request(connection, [SymbolRequest(symbol, Kind.EQUITY, LAST) for symbol in symbols])
    run_id = f"bench {next(_numbers)}"
    began = perf_counter()
    with database.lease(locks.run(run_id)):
        Onboarding(database, provider, calendar(), LAST, run_id).run()
    return perf_counter() - began

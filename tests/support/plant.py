"""The batch without Dagster, and providers that misbehave on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import psycopg
from provider_contract import nyse
from sqlalchemy import text

from cli.install import prepare
from closingbell.batch.inputs import StepInputs
from closingbell.batch.report import StepReport
from closingbell.batch.steps import STEPS
from closingbell.install import runtime
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.install.settings import load_settings
from closingbell.market.bars import Bars
from closingbell.market.instruments import OptionContract
from closingbell.providers.base import Answer, MarketDataProvider, Profile, Statements
from closingbell.repositories import inspection
from closingbell.repositories.database import Database
from closingbell.repositories.tables import Table

LAST = date(2022, 12, 28)
"""The latest session of the demo provider."""

TABLES = sorted(Table.metadata.tables)
COMPUTED = tuple(step.table for step in STEPS if step.reaches_latest)
"""The tables that have rows of every session."""

BarsAnswer = Answer[Bars]

PROGRAM = Path(sys.executable).with_name("closingbell")

_numbers = count()


def copy_of(server: EmbeddedPostgres, template: str) -> Database:
    """Return a new database with everything that `template` has."""
    name = f"test_{next(_numbers)}"
    where = f"host={server.socket_folder} user=postgres dbname=postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return Database(server.url(name))


def last_sessions(count: int) -> list[date]:
    """Return the last sessions that the demo provider has."""
    return nyse().sessions(nyse().offset(LAST, 1 - count), LAST)


def run_batch(database: Database, provider: MarketDataProvider, sessions: Sequence[date]) -> dict[str, StepReport]:
    """Run every step of both jobs, in order; return their reports by step."""
    inputs = StepInputs(provider, nyse(), provider.latest_session(LAST))
    return {step.name: step.run(database, sessions, inputs) for step in STEPS}


def rows(database: Database, query: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query), parameters)]


def hashes(database: Database, tables: Iterable[str] = TABLES) -> dict[str, str]:
    """Return a digest of the content of each table."""
    with database.transaction() as connection:
        return {table: inspection.content_hash(connection, table) for table in tables}


def await_row(database: Database, query: str, within: float = 60, pause: float = 0.02, **parameters: object) -> None:
    """Wait until a query returns a row."""
    deadline = monotonic() + within
    while True:
        with database.transaction() as connection:
            if connection.execute(text(query), parameters).first() is not None:
                return
        assert monotonic() < deadline, query
        sleep(pause)


def await_writer(database: Database, table: str, *, waiting: bool = False) -> None:
    """Wait until a transaction that has not been committed yet holds a writer's lock on the table, or waits for it."""
    query = """
        SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.mode = 'RowExclusiveLock' AND l.granted <> :waiting
          AND l.relation::regclass::text LIKE :table
    """
    await_row(database, query, pause=0.002, table=f"{table}%", waiting=waiting)


class Tampered:
    """A provider whose answers about some symbols are changed.

    Parameters
    ----------
    provider : MarketDataProvider
        Gives the answers before they are changed.
    bars : mapping of str to function
        By symbol: changes an answer for a range of days.
    """

    def __init__(
        self, provider: MarketDataProvider, bars: Mapping[str, Callable[[BarsAnswer, date, date], BarsAnswer]]
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._bars = bars
        self.requested: list[tuple[str, date, date]] = []

    def latest_session(self, closed: date) -> date:
        """Answer as the provider does."""
        return self._provider.latest_session(closed)

    def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Mapping[str, BarsAnswer]:
        """Answer, and record the request."""
        self.requested += [(symbol, start, end) for symbol in symbols]
        answers = dict(self._provider.daily_bars(symbols, start, end))
        return {
            symbol: self._bars[symbol](answers.get(symbol, Answer.ok(no_bars())), start, end)
            if symbol in self._bars
            else answers[symbol]
            for symbol in symbols
        }

    def option_bars(self, contracts: Sequence[OptionContract], start: date, end: date) -> Mapping[str, BarsAnswer]:
        """Answer as the provider does."""
        return self._provider.option_bars(contracts, start, end)

    def profiles(self, symbols: Sequence[str]) -> Mapping[str, Answer[Profile]]:
        """Answer as the provider does."""
        return self._provider.profiles(symbols)

    def statements(self, symbols: Sequence[str]) -> Mapping[str, Answer[Statements]]:
        """Answer as the provider does."""
        return self._provider.statements(symbols)


def no_bars() -> Bars:
    """Return bars of no session."""
    nothing = np.empty(0)
    return Bars(np.empty(0, dtype="datetime64[D]"), nothing, nothing, nothing, nothing, nothing, "test")


def take(bars: Bars, keep: np.typing.NDArray[np.bool_]) -> Bars:
    """Return some of the bars."""
    return replace(
        bars,
        sessions=bars.sessions[keep],
        open=bars.open[keep],
        high=bars.high[keep],
        low=bars.low[keep],
        close=bars.close[keep],
        volume=bars.volume[keep],
    )


@dataclass(frozen=True)
class Install:
    """A folder and a database of its own, on which the command line can be called."""

    home: Path
    database: Database
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command."""
        environment = {
            **os.environ,
            "CLOSINGBELL_HOME": str(self.home),
            "DATABASE_URL": self.database.url.render_as_string(hide_password=False),
            **self.variables,
            **variables,
        }
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            env=environment,
            cwd=self.home,  # works from any folder
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def call(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Run a command to its end; return its exit status, output and error output."""
        with self.start(*arguments, **variables) as process:
            output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def prepared(self) -> Install:
        """Do what `init` does."""
        status, output, errors = self.call("init")
        assert (status, errors) == (0, ""), output
        return self


SHARED = (load_settings, runtime.open_database, runtime.open_provider, runtime.trading_calendar)


@contextmanager
def this_process_on(folder: Path, database: Database, **variables: str) -> Iterator[None]:
    """Make this process an install, as long as the block lasts."""
    before = dict(os.environ)
    os.environ.update(
        CLOSINGBELL_HOME=str(folder), DATABASE_URL=database.url.render_as_string(hide_password=False), **variables
    )
    forget()
    try:
        prepare(load_settings())
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget()


def forget() -> None:
    """Forget what is read once per process, so that it is read again."""
    for shared in SHARED:
        shared.cache_clear()

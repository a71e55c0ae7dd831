"""The state of the plant: which jobs run, which ran, how far the tables reach, and what comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from rich.console import Console
from rich.table import Table

from cli.summary import show_portfolios
from closingbell.batch.steps import STEPS
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.freshness import next_batch, sessions_behind
from closingbell.operations.jobs import batches
from closingbell.operations.mode import Mode
from closingbell.operations.planning import format_range
from closingbell.repositories import inspection, queue, run_records
from closingbell.repositories.database import Connection
from closingbell.repositories.queue import Waiting
from closingbell.repositories.tables import BatchRun
from resources.jobs import Job, JobReader

PERIOD = timedelta(days=7)
MAX_RUNS = 8
"""How many runs of the last `PERIOD` are shown, the newest first."""

MODES = {Mode.INSTANT: "two nightly jobs", Mode.COMBINED: "one combined nightly batch"}


@dataclass(frozen=True)
class Reach:
    """The newest session of a table, and how many sessions it is behind; None when it has no rows."""

    table: str
    newest: date | None
    behind: int | None


@dataclass(frozen=True)
class EndedRun:
    """The run records of one run, over all its sessions."""

    job: str
    first: date
    last: date
    status: str
    trigger: str
    started: datetime
    items: int
    failed: int
    reason: str | None


@dataclass(frozen=True)
class Status:
    """The state of the plant."""

    provider: str
    mode: str
    latest_session: date
    reach: list[Reach]
    running: list[Job]
    onboarding: Waiting
    ran: list[EndedRun]
    next_batch: str


def read_status() -> Status:
    """Read the tables and Dagster's runs."""
    settings, latest = load_settings(), runtime.latest_session()
    with runtime.open_database().transaction() as connection:
        reach = [_reach(connection, step.table, latest) for step in STEPS if step.reaches_latest]
        ran = _runs(run_records.since(connection, runtime.now() - PERIOD))
        onboarding = queue.waiting(connection)
    with dg.DagsterInstance.get() as instance:
        running = JobReader(instance).active_jobs()
    due = next_batch(runtime.trading_calendar(), runtime.now())
    return Status(
        settings.provider,
        MODES[settings.mode],
        latest,
        reach,
        running,
        onboarding,
        ran,
        f"{batches(settings.mode)[0]} on {due:%Y-%m-%d} at {due:%H:%M} New York",
    )


def _reach(connection: Connection, table: str, latest: date) -> Reach:
    newest = inspection.newest_session(connection, table)
    return Reach(table, newest, sessions_behind(runtime.trading_calendar(), newest, latest))


def _runs(records: Sequence[BatchRun]) -> list[EndedRun]:
    """Group the records by run, newest run first."""
    by_run: dict[tuple[str, str], list[BatchRun]] = {}
    for record in records:
        by_run.setdefault((record.job_type, record.run_id), []).append(record)
    runs = []
    for (job, _), rows in by_run.items():
        last, days = rows[-1], sorted(row.session for row in rows)
        reason = last.failed_items[-1]["reason"] if last.failed_items else None
        figures = (last.status, last.trigger, last.started_at, last.items_processed, last.items_failed, reason)
        runs.append(EndedRun(job, days[0], days[-1], *figures))
    return sorted(runs, key=lambda run: run.started, reverse=True)[:MAX_RUNS]


def show_json(console: Console, status: Status) -> None:
    """Print the status as JSON."""
    console.print(json.dumps(asdict(status), default=str, indent=2), markup=False)


def show(console: Console, status: Status) -> None:
    """Print the status on one screen."""
    console.print(
        f"[bold]{status.mode}[/], provider {status.provider}, latest session [bold]{status.latest_session}[/]"
    )
    console.print(f"next: {status.next_batch}\n")
    tables = Table("table", "newest session", "sessions behind", box=None, pad_edge=False, header_style="dim")
    for reach in status.reach:
        behind = "no rows yet: run `closingbell run`" if reach.behind is None else str(reach.behind)
        tables.add_row(reach.table, str(reach.newest or "none"), behind)
    console.print(tables)
    running = ", ".join(f"{job.type} ({job.status}, {job.trigger}, run {job.run_id[:8]})" for job in status.running)
    console.print(f"\nrunning: {running or 'nothing'}")
    console.print(f"new symbols waiting: {status.onboarding.open}\n")
    runs = Table("started (UTC)", "job", "sessions", "status", "by", box=None, pad_edge=False, header_style="dim")
    for heading in ("items", "failed"):
        runs.add_column(heading, justify="right")
    runs.add_column("last reason")
    for run in status.ran:
        span = format_range([run.first] if run.first == run.last else [run.first, run.last])
        figures = (str(run.items), str(run.failed), run.reason or "")
        runs.add_row(f"{run.started:%m-%d %H:%M}", run.job, span, run.status, run.trigger, *figures)
    console.print(runs)
    console.print()
    show_portfolios(console)

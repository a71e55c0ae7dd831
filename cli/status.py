"""How the plant is: what runs, what ran, how far the tables reach, and what comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from rich.console import Console
from rich.table import Table

from cli.summary import show_portfolios
from closingbell.analytics.freshness import next_batch
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import DUE, batches
from closingbell.operations.mode import Mode
from closingbell.repositories import inspection, queue, run_records
from closingbell.repositories.database import Connection
from closingbell.repositories.queue import Waiting
from closingbell.repositories.tables import BatchRun
from resources.tracker import ACTIVE, Job, views

TABLES = ("market_data_cache", "symbol_factor_exposures", "symbol_daily_metrics", "portfolio_snapshots")
REMEMBERED = timedelta(days=7)
LINES = 8


@dataclass(frozen=True)
class Reach:
    """How far a table reaches; `behind` counts sessions, None when there are no rows at all."""

    table: str
    newest: date | None
    behind: int | None


@dataclass(frozen=True)
class Ran:
    """One run of a job as the history tells it, over all its sessions."""

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
    """The plant at a moment."""

    provider: str
    mode: str
    latest_session: date
    reach: list[Reach]
    running: list[Job]
    onboarding: Waiting
    ran: list[Ran]
    next_batch: str


def read_status() -> Status:
    """Ask the tables and Dagster."""
    settings, latest = load_settings(), runtime.latest_session()
    with runtime.open_database().transaction() as connection:
        reach = [_reach(connection, table, latest) for table in TABLES]
        ran = _runs(run_records.since(connection, runtime.now() - REMEMBERED))
        onboarding = queue.waiting(connection)
    with dg.DagsterInstance.get() as instance:
        running = [job for record in instance.get_run_records(dg.RunsFilter(statuses=ACTIVE)) for job in views(record)]
    first = batches(settings.mode)[0]
    due = next_batch(runtime.trading_calendar(), runtime.now())
    return Status(
        settings.provider,
        "two jobs a night" if settings.mode is Mode.INSTANT else "one combined batch a night",
        latest,
        reach,
        running,
        onboarding,
        ran,
        f"{first} on {due.astimezone(NEW_YORK):%Y-%m-%d} at {DUE[first]:%H:%M} New York",
    )


def _reach(connection: Connection, table: str, latest: date) -> Reach:
    newest = inspection.newest_session(connection, table)
    behind = None if newest is None else max(len(runtime.trading_calendar().sessions(newest, latest)) - 1, 0)
    return Reach(table, newest, behind)


def _runs(records: Sequence[BatchRun]) -> list[Ran]:
    """Put the rows of each run together, newest run first."""
    grouped: dict[tuple[str, str], list[BatchRun]] = {}
    for record in records:
        grouped.setdefault((record.job_type, record.run_id), []).append(record)
    runs = []
    for (job, _), rows in grouped.items():
        row, days = rows[-1], sorted(each.session for each in rows)
        reason = row.failed_items[-1]["reason"] if row.failed_items else None
        figures = (row.status, row.trigger, row.started_at, row.items_processed, row.items_failed, reason)
        runs.append(Ran(job, days[0], days[-1], *figures))
    return sorted(runs, key=lambda run: run.started, reverse=True)[:LINES]


def show_json(console: Console, status: Status) -> None:
    """Print the status as JSON."""
    console.print(json.dumps(asdict(status), default=str, indent=2), markup=False)


def show(console: Console, status: Status) -> None:
    """Print the status on one screen."""
    console.print(
        f"[bold]{status.mode}[/], provider {status.provider}, latest session [bold]{status.latest_session}[/]"
    )
    console.print(f"next: {status.next_batch}\n")
    reach = Table("table", "newest session", "sessions behind", box=None, pad_edge=False, header_style="dim")
    for each in status.reach:
        behind = "no rows yet: run `closingbell run`" if each.behind is None else str(each.behind)
        reach.add_row(each.table, str(each.newest or "none"), behind)
    console.print(reach)
    running = ", ".join(f"{job.type} ({job.status}, {job.trigger}, run {job.run_id[:8]})" for job in status.running)
    console.print(f"\nrunning: {running or 'nothing'}")
    console.print(f"new symbols waiting: {status.onboarding.open}\n")
    table = Table("started (UTC)", "job", "sessions", "status", "by", box=None, pad_edge=False, header_style="dim")
    for heading in ("items", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("last reason")
    for run in status.ran:
        span = str(run.first) if run.first == run.last else f"{run.first} to {run.last}"
        figures = (str(run.items), str(run.failed), run.reason or "")
        table.add_row(f"{run.started:%m-%d %H:%M}", run.job, span, run.status, run.trigger, *figures)
    console.print(table)
    console.print()
    show_portfolios(console)

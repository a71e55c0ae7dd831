"""The command line. An error is one line that says what to do, and a non-zero exit status."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from cli import install, services, summary
from closingbell.errors import ClosingBellError, ConfigurationError
from closingbell.install import runtime
from closingbell.install.seeding import YEAR
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import JobType, batches, require_available
from closingbell.operations.mode import Mode
from closingbell.operations.planning import session_range

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The nightly data plant of a portfolio-analytics product.",
)
# Outside a terminal there is no width to detect, so this one is wide enough for the tables.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)
DATE_FORMATS = ["%Y-%m-%d"]


@app.command()
def init() -> None:
    """Create the databases, bring the tables up to date and write the factors and the demo."""
    install.prepare(load_settings())
    seeded = install.initialise()
    console.print(f"Ready: {seeded.symbols} new symbols, {seeded.portfolios} new portfolios.")


@app.command()
def run(
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=DATE_FORMATS, help="First session. Default: a year before the last one."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=DATE_FORMATS, help="Last session. Default: the latest one.")
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="symbol_batch or portfolio_refresh; with BATCH_V2_ENABLED=false daily_batch.")
    ] = None,
) -> None:
    """Materialize every asset for a range of sessions through Dagster, and print a summary."""
    settings = load_settings()
    install.prepare(settings)
    jobs = _batches(job, settings.mode)
    install.require_initialised()
    sessions = _sessions(start and start.date(), end and end.date())
    # Imported here, since Dagster reads its environment as it is imported, and so that wrong arguments fail sooner.
    from cli.backfill import backfill  # noqa: PLC0415

    console.print(f"Materializing {len(sessions)} sessions from {sessions[0]} to {sessions[-1]}")
    began = monotonic()
    outcome = backfill(jobs, sessions, console)
    summary.show_run(console, sessions, outcome, monotonic() - began)


def _batches(name: str | None, mode: Mode) -> tuple[JobType, ...]:
    """Return the batch of that name, or all batches of the mode."""
    if name is None:
        return batches(mode)
    job = require_available(name, mode)
    if job not in batches(mode):
        raise ConfigurationError(f"{job} does not work on sessions", f"Choose one of {', '.join(batches(mode))}")
    return (job,)


def _sessions(start: date | None, end: date | None) -> list[date]:
    """Return the sessions of a range; without a start, a year of them."""
    calendar, latest = runtime.trading_calendar(), runtime.latest_session()
    start = start or calendar.offset(end or latest, 1 - YEAR)
    return session_range(calendar, start, end, earliest=load_settings().first_partition, latest=latest)


@app.command()
def up() -> None:
    """Serve the Dagster UI and the API, and run the daemon, until interrupted."""
    settings = load_settings()
    install.prepare(settings)
    install.initialise()
    services.serve(settings, console)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,  # noqa: FBT002
) -> None:
    """Show what runs, what ran, how far the tables reach, and what is next."""
    install.prepare(load_settings())
    install.require_initialised()
    # Imported after the environment is set, since it imports dagster.
    from cli import status as report  # noqa: PLC0415

    current = report.read_status()
    if as_json:
        report.show_json(console, current)
    else:
        report.show(console, current)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the product's database; further arguments are passed to it."""
    settings = load_settings()
    install.prepare(settings)
    program = str(runtime.embedded_server(settings).psql())
    database = runtime.open_database()
    # Other users can read a command line, but not the environment.
    environment = {**os.environ, **({"PGPASSWORD": database.url.password} if database.url.password else {})}
    command = ["psql", database.address(), *context.args]
    sys.exit(os.spawnve(os.P_WAIT, program, command, environment))  # noqa: S606 - the user's own arguments


def main() -> None:
    """Run the command line."""
    try:
        app()
    except ClosingBellError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""What `run` prints at its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from closingbell.calculations.factor_definitions import FACTORS
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.market.instruments import Kind
from closingbell.repositories import inspection, universe

if TYPE_CHECKING:
    from cli.backfill import Outcome

MAIN_FACTORS = (0, 2, 3, 4, 5)


def show_run(console: Console, sessions: Sequence[date], outcome: Outcome, seconds: float) -> None:
    """Print what a backfill computed, and what to do next."""
    with runtime.open_database().transaction() as connection:
        counted = {kind: len(universe.active(connection, [kind])) for kind in Kind}
        rows = inspection.row_counts(connection)
    console.print(
        f"\n[bold]Done in {seconds:.0f} s[/]: {len(sessions)} sessions, {counted[Kind.EQUITY]} stocks, "
        f"{counted[Kind.ETF]} funds, {counted[Kind.OPTION]} option contracts, {len(outcome.runs)} Dagster runs"
    )
    _show_rows(console, rows)
    show_portfolios(console)
    if outcome.failed_checks:
        console.print("[yellow]Failed checks:[/] " + ", ".join(outcome.failed_checks))
    if load_settings().provider == "demo":
        console.print(
            "This is demo data: real closes of 20 stocks and some funds, the rest proxies or synthetic; "
            "every row says which."
        )
    console.print(
        "\nNext: [bold]make up[/] serves the Dagster UI (runs, partitions, checks) and the API; "
        "[bold].venv/bin/closingbell status[/] shows how far the tables reach; "
        "[bold].venv/bin/closingbell psql[/] opens them."
    )


def _show_rows(console: Console, rows: dict[str, int]) -> None:
    table = Table("table", box=None, pad_edge=False, header_style="dim")
    table.add_column("rows", justify="right")
    for name, count in sorted(rows.items()):
        table.add_row(name, f"{count:,}")
    console.print(table)


def show_portfolios(console: Console) -> None:
    """Show the latest snapshot of every portfolio with its main betas."""
    with runtime.open_database().transaction() as connection:
        lines = inspection.portfolio_lines(connection, MAIN_FACTORS)
    table = Table("portfolio", "session", "status", box=None, pad_edge=False, header_style="dim")
    names = [FACTORS[index].name for index in MAIN_FACTORS]
    for heading in ("NAV", "since inception", *names):
        table.add_column(heading, justify="right")
    for line in lines:
        betas = [_number(line.exposures.get(name)) for name in names]
        growth = "unknown" if line.cumulative_return is None else f"{line.cumulative_return:+.2%}"
        table.add_row(line.name, str(line.session), line.status, f"{line.nav:,.2f}", growth, *betas)
    console.print()
    console.print(table)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f}"

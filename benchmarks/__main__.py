"""Run each benchmark in its own process and database, and print one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.factors import one_session, one_year
from benchmarks.portfolios import portfolios
from benchmarks.result import Row
from benchmarks.uploads import uploads
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.repositories import schema
from closingbell.repositories.database import Database

MEMORY_LIMIT = 2048
"""In MiB, for each scenario."""

SCENARIOS: dict[str, Callable[[Database], list[Row]]] = {
    "a": one_session,
    "b": one_year,
    "c1000": partial(portfolios, count=1_000),
    "c10000": partial(portfolios, count=10_000),
    "d": uploads,
}


def main(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help=f"Some of {', '.join(SCENARIOS)}; all by default.")
    ] = None,
) -> None:
    """Measure speed and memory on a temporary embedded PostgreSQL. Missed targets are reported, not enforced."""
    unknown = set(scenarios or ()) - set(SCENARIOS)
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(SCENARIOS)}")
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.acquire()
        try:
            rows = [row for name in scenarios or SCENARIOS for row in _measure(server, name)]
        finally:
            server.release()
    show(rows)


def _measure(server: EmbeddedPostgres, name: str) -> list[Row]:
    """Run one scenario in its own process, so that its memory is measured separately."""
    database = Database(server.url(f"bench_{name}"))
    database.create()
    schema.upgrade(database)
    url = database.url.render_as_string(hide_password=False)
    code = f"from benchmarks.__main__ import run_scenario; run_scenario({name!r}, {url!r})"
    result = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    return [Row(**row) for row in json.loads(result.stdout)]


def run_scenario(name: str, url: str) -> None:
    """Run one scenario and print its rows as JSON."""
    print(json.dumps([asdict(row) for row in SCENARIOS[name](Database(url))]))


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table(title=f"Closing Bell on {os.cpu_count()} cores", title_justify="left", show_lines=True)
    for heading in ("what", "against"):
        table.add_column(heading, overflow="fold", ratio=1)
    for heading in ("seconds", "against", "ratio", "peak MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("targets", no_wrap=True)
    for row in rows:
        targets = {**row.targets, "at most 2 GiB": row.megabytes <= MEMORY_LIMIT}
        verdicts = "\n".join(f"{'met   ' if met else 'MISSED'} {target}" for target, met in targets.items())
        figures = (f"{row.seconds:.2f}", f"{row.baseline:.2f}", row.ratio, f"{row.megabytes:,}")
        table.add_row(row.what, row.against, *figures, verdicts)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    typer.run(main)

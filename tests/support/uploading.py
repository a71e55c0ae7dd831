"""Uploads as users make them, and the rows that are expected afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient
from httpx import Response
from plant import LAST
from provider_contract import nyse
from sqlalchemy import text

from closingbell.batch.onboarding import Onboarding, OnboardingResult
from closingbell.batch.portfolios import compute_exposures, compute_snapshots
from closingbell.batch.prices import HISTORY_SESSIONS
from closingbell.providers.base import MarketDataProvider
from closingbell.providers.demo import DEMO_STOCKS
from closingbell.repositories import locks
from closingbell.repositories.database import Database
from closingbell.repositories.tables import Table

STOCKS = tuple(symbol for symbol in DEMO_STOCKS if symbol != "RRC")
"""The demo's stocks but one, which tests remove and onboard."""

HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date"
FORM = {"portfolio_name": "Mine", "account_name": "Joint", "account_type": "taxable", "equity_balance": "100000"}

SYMBOL_TABLES = {
    table.name: table
    for table in Table.metadata.sorted_tables
    if "symbol_id" in table.columns and "portfolio_id" not in table.columns
}
"""The tables with facts about a symbol, by name."""


def csv_of(symbols: Sequence[str]) -> str:
    """Return a file that holds a few of each symbol."""
    rows = [f"{symbol},{10 + number},100.5,2022-03-01" for number, symbol in enumerate(symbols)]
    return "\n".join([HEADER, *rows, ""])


def upload(client: Any, content: str | bytes, headers: Mapping[str, str] | None = None, **form: str) -> Response:
    """Send a file with a form, as a browser does."""
    answer: Response = client.post(
        "/api/v1/onboarding/create-portfolio",
        data={**FORM, **form},
        files={"file": ("positions.csv", content, "text/csv")},
        headers=headers,
    )
    return answer


def onboard(database: Database, provider: MarketDataProvider, run_id: str = "onboarding") -> OnboardingResult:
    """Onboard the symbols that are due, as an onboarding run does."""
    with database.lease(locks.run(run_id)):
        return Onboarding(database, provider, nyse(), LAST, run_id).run()


def rows_of(database: Database, symbol: str) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of a symbol by table: those of the newest session, and the year of prices that they need.

    Without `as_of` of statements, which depends on the day on which the symbol was requested.
    """
    rows = {}
    first = {"market_data_cache": nyse().offset(LAST, -HISTORY_SESSIONS)}
    with database.transaction() as connection:
        for table, model in SYMBOL_TABLES.items():
            condition = "AND t.session >= :first" if "session" in model.columns else ""
            query = f"""
                SELECT DISTINCT to_jsonb(t) - '{{symbol_id,as_of}}'::text[]
                FROM {table} t JOIN symbol_universe u ON u.id = t.symbol_id
                WHERE u.symbol = :symbol {condition} ORDER BY 1
            """
            parameters = {"symbol": symbol, **({"first": first.get(table, LAST)} if condition else {})}
            rows[table] = [tuple(row) for row in connection.execute(text(query), parameters)]
    return rows


def forget_symbol(database: Database, symbol: str) -> None:
    """Remove a symbol from the universe, the tables and the portfolios, as if it had never been requested."""
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM positions WHERE symbol = :symbol"), {"symbol": symbol})
        for table in SYMBOL_TABLES:
            connection.execute(
                text(f"DELETE FROM {table} WHERE symbol_id = (SELECT id FROM symbol_universe WHERE symbol = :symbol)"),
                {"symbol": symbol},
            )
        connection.execute(text("DELETE FROM symbol_universe WHERE symbol = :symbol"), {"symbol": symbol})
    write_portfolios(database)


def write_portfolios(database: Database) -> None:
    """Write the portfolio tables of the newest session, as the nightly refresh does."""
    compute_snapshots(database, [LAST], calendar=nyse())
    compute_exposures(database, [LAST], calendar=nyse())


@contextmanager
def client_of() -> Iterator[TestClient]:
    """Yield a client of the application, on this process's install."""
    from api.main import app  # noqa: PLC0415 - reads the settings as it is imported

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client

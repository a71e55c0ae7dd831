"""The first rows of an install: the factors, their funds and, with the demo provider, the demo's portfolios."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from closingbell.calculations.factor_definitions import REGRESSOR_FUNDS
from closingbell.install.demo_portfolios import demo_portfolios
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Kind
from closingbell.providers.base import MarketDataProvider
from closingbell.providers.demo import DEMO_FUNDS, DEMO_STOCKS
from closingbell.repositories import factors, locks, portfolios, universe
from closingbell.repositories.database import Database

LOCAL_OWNER = "local"
"""The only user of a default install."""

YEAR = 252
"""Length of the demo's history; its portfolios start on the first session."""


@dataclass(frozen=True)
class Seeded:
    """Numbers of new rows."""

    symbols: int
    portfolios: int


def seed(database: Database, provider: MarketDataProvider, calendar: SessionCalendar, latest: date) -> Seeded:
    """Write the first rows of an install; existing rows are not changed."""
    with database.transaction(lock=locks.SEEDS) as connection:
        factors.seed_definitions(connection)
        funds = [(fund, Kind.ETF) for fund in REGRESSOR_FUNDS]
        symbols = universe.add_instruments(connection, funds, status="active")
        if provider.name != "demo":
            return Seeded(symbols, 0)
        demo = [*((stock, Kind.EQUITY) for stock in DEMO_STOCKS), *((fund, Kind.ETF) for fund in DEMO_FUNDS)]
        symbols += universe.add_instruments(connection, demo, status="active")
        created = 0
        for portfolio in demo_portfolios(provider, calendar.offset(latest, 1 - YEAR)):
            contracts = [position.contract for position in portfolio.positions if position.contract]
            symbols += universe.add_contracts(connection, contracts, status="active")
            created += portfolios.create(connection, LOCAL_OWNER, portfolio, latest) is not None
        return Seeded(symbols, created)

"""What routes depend on: the caller, today's date, and the services that answer."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends

from closingbell.accounts import OwnPortfolios
from closingbell.analytics.plant import PlantQueries
from closingbell.analytics.portfolios import PortfolioQueries
from closingbell.install import runtime
from closingbell.install.seeding import LOCAL_OWNER
from closingbell.market.calendar import NEW_YORK


def current_owner() -> str:
    """Return the user whose rows the caller may see: the one local user of a default install."""
    return LOCAL_OWNER


def current_day() -> date:
    """Return today's date in New York; no trade has a later one."""
    return runtime.now().astimezone(NEW_YORK).date()


Owner = Annotated[str, Depends(current_owner)]
Today = Annotated[date, Depends(current_day)]


def own_portfolios(owner: Owner) -> OwnPortfolios:
    """Return the commands on the caller's portfolios."""
    return OwnPortfolios(runtime.open_database(), runtime.trading_calendar(), owner)


def portfolio_queries(owner: Owner) -> PortfolioQueries:
    """Return the queries on the caller's portfolios."""
    return PortfolioQueries(runtime.open_database(), runtime.trading_calendar(), owner)


def plant_queries() -> PlantQueries:
    """Return the queries on the state of the plant."""
    return PlantQueries(runtime.open_database(), runtime.trading_calendar())


Own = Annotated[OwnPortfolios, Depends(own_portfolios)]
Portfolios = Annotated[PortfolioQueries, Depends(portfolio_queries)]
Plant = Annotated[PlantQueries, Depends(plant_queries)]

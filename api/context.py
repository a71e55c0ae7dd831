"""What every request needs: who asks, which day it is, and the product's parts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import Depends

from closingbell import runtime
from closingbell.calendar import SessionCalendar
from closingbell.repositories.database import Database
from closingbell.seeding import LOCAL_OWNER

FARTHEST_EAST = timedelta(hours=14)
"""Before UTC: somewhere it is that day already."""


def current_owner() -> str:
    """Return whose rows the caller may see: of a default install, bound to this machine, the one local user's."""
    return LOCAL_OWNER


def current_day() -> date:
    """Return the latest day that it is anywhere: what users call today is not in the future."""
    return (runtime.now() + FARTHEST_EAST).date()


Owner = Annotated[str, Depends(current_owner)]
Today = Annotated[date, Depends(current_day)]
Warehouse = Annotated[Database, Depends(runtime.open_database)]
Calendar = Annotated[SessionCalendar, Depends(runtime.trading_calendar)]

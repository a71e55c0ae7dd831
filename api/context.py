"""What every request needs: who asks, which day it is, and the product's parts."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends

from closingbell.install import runtime
from closingbell.install.seeding import LOCAL_OWNER
from closingbell.market.calendar import NEW_YORK, SessionCalendar
from closingbell.repositories.database import Database


def current_owner() -> str:
    """Return whose rows the caller may see: of a default install, bound to this machine, the one local user's."""
    return LOCAL_OWNER


def current_day() -> date:
    """Return today's date where the exchange is: nothing can have been traded on a later one."""
    return runtime.now().astimezone(NEW_YORK).date()


Owner = Annotated[str, Depends(current_owner)]
Today = Annotated[date, Depends(current_day)]
Warehouse = Annotated[Database, Depends(runtime.open_database)]
Calendar = Annotated[SessionCalendar, Depends(runtime.trading_calendar)]

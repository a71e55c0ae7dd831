"""What the people who run the plant ask."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from closingbell import runtime
from closingbell.freshness import measure_freshness

router = APIRouter(prefix="/api/v1/admin", tags=["admin"])


class Freshness(BaseModel):
    """How far the prices reach; `as_of` is the session they reach to."""

    as_of: date | None
    expected: date
    sessions_behind: int | None
    level: Literal["current", "warning", "critical"]
    next_update: datetime


@router.get("/data/freshness")
def freshness() -> Freshness:
    """Tell the latest price session, how many sessions it is behind, and when the next one is due."""
    with runtime.open_database().transaction() as connection:
        measured = measure_freshness(
            connection, runtime.trading_calendar(), expected=runtime.latest_session(), now=runtime.now()
        )
    return Freshness.model_validate(measured, from_attributes=True)

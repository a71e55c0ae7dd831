"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from closingbell.install import runtime
from closingbell.repositories import schema

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The process can answer, and from where."""

    status: str = "ready"
    mode: str


@router.get("/live")
def live() -> Alive:
    """Answer as soon as the process does."""
    return Alive()


@router.get("/ready")
def ready() -> Ready:
    """Answer once the tables can be read; 503 while they cannot."""
    with runtime.open_database().transaction() as connection:
        schema.require_current(connection)
    return Ready(mode="db_fallback")

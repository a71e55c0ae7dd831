"""Health of the process: it is alive, and it can answer."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api.context import Plant

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The process can answer; `mode` is where it reads from."""

    status: str = "ready"
    mode: str


@router.get("/live")
def live() -> Alive:
    """Answer as soon as the process runs."""
    return Alive()


@router.get("/ready")
def ready(plant: Plant) -> Ready:
    """Answer once the tables can be read; until then with 503."""
    plant.require_ready()
    return Ready(mode="db_fallback")

"""Health of the process: whether it runs, and whether it can read the tables."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api.context import Plant

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process runs."""

    status: str = "alive"


class Ready(BaseModel):
    """The process can read the tables; `mode` says where it reads from."""

    status: str = "ready"
    mode: str


@router.get("/live")
def live() -> Alive:
    """Answer as soon as the process runs."""
    return Alive()


@router.get("/ready")
def ready(plant: Plant) -> Ready:
    """Return 200 once the tables can be read, and 503 until then."""
    plant.require_ready()
    return Ready(mode="db_fallback")

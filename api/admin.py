"""Operation of the plant: freshness, jobs, the onboarding queue."""

from __future__ import annotations

from datetime import date, datetime
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api import jobs
from api.context import Plant
from api.errors import refusals
from api.schemas import PAGE, Answer, Limit
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.freshness import Level
from closingbell.operations.jobs import JobType, require_available

router = APIRouter(prefix="/api/v1/admin", tags=["admin"])


class Freshness(Answer):
    """How far the prices reach; `as_of` is the newest session with prices."""

    as_of: date | None
    expected: date
    sessions_behind: int | None
    level: Level
    next_update: datetime


class JobRequest(BaseModel):
    """A job to start; a batch computes a range of sessions, by default the latest one."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    job_type: str = Field(examples=["symbol_batch"])
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")


class Started(BaseModel):
    """The run that was started."""

    run_id: str


class StepOut(Answer):
    """A step of a job, and its duration once it is done."""

    phase: str
    done: bool
    duration_ms: int | None


class Job(Answer):
    """A job that is queued or running."""

    model_config = ConfigDict(validate_by_name=True)

    job_type: JobType = Field(validation_alias="type")
    run_id: str
    status: str
    trigger: str
    first: date | None
    last: date | None
    created: datetime
    started: datetime | None


class Steps(Answer):
    """The progress of a job."""

    phases: list[StepOut]
    percent: int


class RunningJob(Steps, Job):
    """A job that is queued or running, with its steps."""


class Current(BaseModel):
    """The jobs that are queued or running; `idle` if there are none."""

    status: Literal["idle", "running"]
    jobs: list[RunningJob]


class RequestedSymbol(Answer):
    """A symbol in the onboarding queue."""

    symbol: str
    kind: str
    status: str
    attempts: int
    requested_at: datetime
    next_attempt_at: datetime | None
    lease_until: datetime | None
    leased_by: str | None
    settled_at: datetime | None
    last_error: str | None


class OnboardingQueue(Answer):
    """Symbols that wait, are being onboarded, or have failed; newest request first."""

    due: int = Field(description="Requests that can be worked on now")
    open: int = Field(description="Requests that have not ended")
    items: list[RequestedSymbol]


@router.get("/data/freshness")
def freshness(plant: Plant) -> Freshness:
    """Return the newest session with prices, how many sessions it is behind, and when the next batch starts."""
    measured = plant.freshness(expected=runtime.latest_session(), now=runtime.now())
    return Freshness.model_validate(measured)


@router.post(
    "/batch/run",
    status_code=HTTPStatus.ACCEPTED,
    responses=refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def start_job(request: JobRequest, plant: Plant) -> Started:
    """Start a job; only one job of each type runs at a time."""
    settings = load_settings()
    job = require_available(request.job_type, settings.mode)
    sessions = plant.sessions_of(
        job, request.first, request.last, earliest=settings.first_partition, latest=runtime.latest_session()
    )
    return Started(run_id=jobs.start_job(job, sessions, trigger="api"))


@router.get("/batch/run/current")
def current(plant: Plant) -> Current:
    """Return every job that is queued or running, with its steps."""
    active = jobs.active_jobs()
    running = [
        RunningJob.model_validate({**dict(Job.model_validate(job)), **dict(Steps.model_validate(progress))})
        for job, progress in zip(active, plant.job_progress(active), strict=True)
    ]
    return Current(status="running" if running else "idle", jobs=running)


@router.get("/onboarding/queue")
def onboarding_queue(plant: Plant, limit: Limit = PAGE) -> OnboardingQueue:
    """Return the symbols that wait, are being onboarded, or have failed."""
    return OnboardingQueue.model_validate(plant.onboarding_queue(limit))

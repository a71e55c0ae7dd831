"""What the people who run the plant ask."""

from __future__ import annotations

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api import jobs
from api.context import Calendar, Warehouse
from api.errors import refusals
from closingbell.analytics.freshness import measure_freshness
from closingbell.batch.steps import step_names
from closingbell.errors import ConfigurationError
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import JobType, require_available
from closingbell.repositories import queue, run_records

router = APIRouter(prefix="/api/v1/admin", tags=["admin"])

MOST = 500


class Freshness(BaseModel):
    """How far the prices reach; `as_of` is the session they reach to."""

    as_of: date | None
    expected: date
    sessions_behind: int | None
    level: Literal["current", "warning", "critical"]
    next_update: datetime


class JobRequest(BaseModel):
    """A job to start; a batch takes a range of sessions, by default the latest one."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    job_type: str = Field(examples=["symbol_batch"])
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")


class Started(BaseModel):
    """The run that has been started."""

    run_id: str


class PhaseOut(BaseModel):
    """A step of a job and whether it is done; its milliseconds once it is."""

    phase: str
    done: bool
    duration_ms: int | None


class RunningJob(BaseModel):
    """A job that is queued or underway."""

    job_type: JobType
    run_id: str
    status: str
    trigger: str
    first: date | None
    last: date | None
    created: datetime
    started: datetime | None
    phases: list[PhaseOut]
    percent: int


class Current(BaseModel):
    """What runs: `idle` if nothing does."""

    status: Literal["idle", "running"]
    jobs: list[RunningJob]


class RequestedSymbol(BaseModel):
    """A symbol that somebody has asked for."""

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


class OnboardingQueue(BaseModel):
    """What waits, is being learnt, or has failed; newest request first."""

    due: int
    open: int
    items: list[RequestedSymbol]


@router.get("/data/freshness")
def freshness(database: Warehouse, calendar: Calendar) -> Freshness:
    """Tell the latest price session, how many sessions it is behind, and when the next one is due."""
    with database.transaction() as connection:
        measured = measure_freshness(connection, calendar, expected=runtime.latest_session(), now=runtime.now())
    return Freshness.model_validate(measured, from_attributes=True)


@router.post(
    "/batch/run",
    status_code=HTTPStatus.ACCEPTED,
    responses=refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def start_job(request: JobRequest, calendar: Calendar) -> Started:
    """Start a job; of each type one runs at a time."""
    job = require_available(request.job_type, load_settings().mode)
    latest = runtime.latest_session()
    last = calendar.require_session(request.last) if request.last else latest
    first = calendar.require_session(request.first) if request.first else last
    if first > last:
        raise ConfigurationError(f"the range is empty: {first} comes after {last}")
    if last > latest:
        raise ConfigurationError(f"there is no data for {last} yet", f"The latest session is {latest}")
    sessions = calendar.sessions(first, last) if step_names(job) else []
    return Started(run_id=jobs.tracker().start_job(job, sessions, trigger="api"))


@router.get("/batch/run/current")
def current(database: Warehouse) -> Current:
    """Tell every job that is queued or underway, with its phases."""
    active = jobs.tracker().active_jobs()
    running = []
    with database.transaction() as connection:
        for job in active:
            record = None if job.last is None else run_records.find(connection, job.type, job.last)
            ours = record.phases if record is not None and record.run_id == job.run_id else {}
            phases = [
                PhaseOut(phase=step, done=step in ours, duration_ms=ours.get(step)) for step in step_names(job.type)
            ]
            percent = 100 * sum(phase.done for phase in phases) // max(len(phases), 1)
            fields = {name: getattr(job, name) for name in RunningJob.model_fields if hasattr(job, name)}
            running.append(RunningJob(**fields, job_type=job.type, phases=phases, percent=percent))
    return Current(status="running" if running else "idle", jobs=running)


@router.get("/onboarding/queue")
def onboarding_queue(database: Warehouse, limit: Annotated[int, Query(ge=1, le=MOST)] = 100) -> OnboardingQueue:
    """Tell which symbols wait to be learnt, are being learnt, or could not be."""
    with database.transaction() as connection:
        waiting = queue.waiting(connection)
        items = [RequestedSymbol.model_validate(row) for row in queue.listing(connection, limit)]
    return OnboardingQueue(due=waiting.due, open=waiting.open, items=items)

"""Run records: the latest run of each job type for each session, what it processed and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    Update,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH, insert

from closingbell.repositories.tables import BatchRun

MAX_FAILED_ITEMS = 100
"""Failed items that a record names; `items_failed` counts all of them."""

RUNNING, FAILED, CANCELED = "running", "failed", "canceled"


@dataclass(frozen=True)
class RunRecord:
    """The record of one run: a row per session of its job type, until a later run of the session replaces it."""

    job_type: str
    sessions: Sequence[date]
    run_id: str


def begin(connection: Connection, record: RunRecord, trigger: str, now: datetime) -> None:
    """Open a run's record, in place of an earlier run's; the later steps of the same run continue it."""
    opened = {
        "run_id": record.run_id,
        "trigger": trigger,
        "status": RUNNING,
        "started_at": now,
        "finished_at": None,
        "duration_ms": None,
        "items_processed": 0,
        "items_failed": 0,
        "failed_items": [],
        "phases": {},
    }
    statement = insert(BatchRun).values(
        [{"job_type": record.job_type, "session": day, **opened} for day in record.sessions]
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["job_type", "session"],
            set_={name: statement.excluded[name] for name in opened},
            where=BatchRun.run_id != record.run_id,
        )
    )
    # A step that is retried within its run reopens the record that it had closed as failed.
    other_items = func.jsonb_path_query_array(BatchRun.failed_items, cast('$[*] ? (@.item != "run")', JSONPATH))
    failed = _of_run(record).where(BatchRun.status == FAILED)
    connection.execute(failed.values(status=RUNNING, finished_at=None, duration_ms=None, failed_items=other_items))


def record_step(
    connection: Connection, record: RunRecord, *, step: str, duration_ms: int, items: int, failed: Mapping[str, str]
) -> None:
    """Add the figures of one step to the record."""
    named = [{"step": step, "item": item, "reason": reason} for item, reason in list(failed.items())[:MAX_FAILED_ITEMS]]
    connection.execute(
        _of_run(record).values(
            phases=BatchRun.phases.op("||")(func.jsonb_build_object(step, duration_ms)),
            items_processed=BatchRun.items_processed + items,
            items_failed=BatchRun.items_failed + len(failed),
            failed_items=case(
                (
                    func.jsonb_array_length(BatchRun.failed_items) < MAX_FAILED_ITEMS,
                    BatchRun.failed_items.op("||")(literal(named, type_=JSONB)),
                ),
                else_=BatchRun.failed_items,
            ),
        )
    )


def finish(connection: Connection, record: RunRecord, now: datetime, steps: Sequence[str]) -> None:
    """Close the record as completed, with warnings if any item failed, once all `steps` of the run are recorded."""
    connection.execute(
        _of_run(record)
        .where(BatchRun.phases.op("?&")(cast(list(steps), ARRAY(Text))))
        .values(status=_completed(), **_ended(now))
    )


def fail(connection: Connection, record: RunRecord, now: datetime, reason: str, step: str = "") -> None:
    """Close the record as failed, with the step and the reason."""
    connection.execute(_of_run(record).values(**_failed(reason, step), **_ended(now)))


def _of_run(record: RunRecord) -> Update:
    return update(BatchRun).where(
        BatchRun.job_type == record.job_type, BatchRun.session.in_(record.sessions), BatchRun.run_id == record.run_id
    )


def _ended(now: datetime) -> dict[str, Any]:
    milliseconds = func.extract("epoch", literal(now, type_=BatchRun.started_at.type) - BatchRun.started_at) * 1000
    return {"finished_at": now, "duration_ms": cast(milliseconds, Integer)}


def _failed(reason: str, step: str = "") -> dict[str, Any]:
    item = [{"step": step, "item": "run", "reason": reason}]
    return {"status": FAILED, "failed_items": BatchRun.failed_items.op("||")(literal(item, type_=JSONB))}


def runs_to_verify(connection: Connection, since: datetime) -> list[str]:
    """Return the runs whose records are open, or completed since a moment: these records may contradict the run."""
    completed = and_(BatchRun.finished_at >= since, BatchRun.status.startswith("completed"))
    query = select(BatchRun.run_id).where(or_(BatchRun.status == RUNNING, completed)).distinct()
    return list(connection.execute(query).scalars())


def end_run(connection: Connection, run_id: str, status: str, now: datetime, reason: str) -> None:
    """Close the record of a run as failed or canceled, which the run could not do itself."""
    statement = update(BatchRun).where(BatchRun.run_id == run_id, BatchRun.status.not_in([FAILED, CANCELED]))
    connection.execute(statement.values(**{**_failed(reason), "status": status}, **_ended(now)))


def complete_run(connection: Connection, run_id: str, now: datetime) -> None:
    """Close the open rows of the record of a run that has succeeded."""
    statement = update(BatchRun).where(BatchRun.run_id == run_id, BatchRun.status == RUNNING)
    connection.execute(statement.values(status=_completed(), **_ended(now)))


def _completed() -> ColumnElement[str]:
    return case((BatchRun.items_failed > 0, "completed_with_warnings"), else_="completed")


def find(connection: Connection, job_type: str, session: date) -> BatchRun | None:
    """Return the run record of a job type and session."""
    query = select(BatchRun.__table__).where(BatchRun.job_type == job_type, BatchRun.session == session)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else BatchRun(**row)


def since(connection: Connection, moment: datetime) -> list[BatchRun]:
    """Return the run records that began at or after a moment, oldest first."""
    query = select(BatchRun.__table__).where(BatchRun.started_at >= moment).order_by(BatchRun.started_at, BatchRun.id)
    return [BatchRun(**row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True)
class Failure:
    """A session whose last run has failed or was canceled, with the step that failed, if known, and the reason."""

    session: date
    step: str
    reason: str


def failures(connection: Connection, job_types: Sequence[str], sessions: Sequence[date]) -> list[Failure]:
    """Return the sessions whose last run of one of these job types did not complete, oldest first."""
    query = (
        select(BatchRun.session, BatchRun.failed_items)
        .where(BatchRun.job_type.in_(job_types), BatchRun.session.in_(sessions))
        .where(BatchRun.status.in_([FAILED, CANCELED]))
        .order_by(BatchRun.session)
    )
    return [Failure(session, items[-1]["step"], items[-1]["reason"]) for session, items in connection.execute(query)]

"""The plant's own operation: run records, requests to the API, and daily figures."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from closingbell.repositories.tables.base import Table


class BatchRun(Table):
    """The run record of each job type and session: its latest run, what it processed and what failed."""

    __tablename__ = "batch_run_history"
    __table_args__ = (
        UniqueConstraint("job_type", "session"),
        CheckConstraint(
            "status in ('running', 'completed', 'completed_with_warnings', 'failed', 'canceled')", name="status"
        ),
        Index("ix_batch_run_history_run_id", "run_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_type: Mapped[str]
    session: Mapped[date]
    run_id: Mapped[str]
    trigger: Mapped[str]
    status: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    items_processed: Mapped[int] = mapped_column(server_default="0")
    items_failed: Mapped[int] = mapped_column(server_default="0")
    failed_items: Mapped[list[Any]] = mapped_column(server_default="[]")
    phases: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="Milliseconds per step")


class ApiRequest(Table):
    """One answered request to the API; deleted after a while, when only its day's figures remain."""

    __tablename__ = "api_requests"
    __table_args__ = (Index("ix_api_requests_answered_at", "answered_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    answered_at: Mapped[datetime]
    route: Mapped[str]
    status: Mapped[int] = mapped_column(SmallInteger)
    duration_ms: Mapped[float]


class DailyMetric(Table):
    """A figure about the plant itself on one day in New York."""

    __tablename__ = "daily_metrics"

    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]

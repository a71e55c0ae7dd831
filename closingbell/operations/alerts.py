"""What people are to be told of without looking: pure functions of what the night has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from closingbell.operations.jobs import JobType

MAX_FAILED_SHARE = 0.1
"""Of a batch's items; beyond it people are record."""


MAX_ONBOARDING_FAILURES = 0.05
"""Of the symbols asked for on a day."""


class Level(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Alert:
    """Something to tell once.

    Parameters
    ----------
    kind : str
        ``batch_late``, ``batch_failed``, ``items_failed``, ``onboarding_failed`` or ``data_behind``.
    level : Level
    subject : str
        What it is about; kind, subject and level together make an alert the same as another.
    text : str
        One line for people.
    """

    kind: str
    level: Level
    subject: str
    text: str

    @property
    def key(self) -> str:
        """Return what makes it the same alert as one sent before."""
        return f"{self.kind} {self.level} {self.subject}"


class JobRecord(Protocol):
    """What the history tells of a job type and session."""

    job_type: str
    session: date
    run_id: str
    status: str
    items_processed: int
    items_failed: int
    failed_items: list[dict[str, str]]


class Settled(Protocol):
    """How many of the symbols asked for have become active, and how many have failed."""

    @property
    def completed(self) -> int:
        """Return how many are active."""

    @property
    def failed(self) -> int:
        """Return how many could not be learnt, though the provider may know them."""


def batch_alerts(records: Iterable[JobRecord]) -> Iterator[Alert]:
    """Yield an alert for each run that failed, and for each batch that could not do over a tenth of its items.

    Of onboarding a mistyped ticker is an item that failed; `onboarding_alert` tells those apart.
    """
    grouped: dict[tuple[str, str], list[JobRecord]] = {}
    for record in records:
        grouped.setdefault((record.job_type, record.run_id), []).append(record)
    for (job, run_id), rows in grouped.items():
        span = f"{rows[0].session}" if len(rows) == 1 else f"{rows[0].session} to {rows[-1].session}"
        subject, worst = f"{job} {span} {run_id}", rows[-1]
        if worst.status == "failed":
            reason = worst.failed_items[-1]["reason"] if worst.failed_items else "see its run"
            yield Alert("batch_failed", Level.CRITICAL, subject, f"{job} of {span} has failed: {reason}")
        elif job != JobType.SYMBOL_ONBOARDING and worst.items_failed > MAX_FAILED_SHARE * max(worst.items_processed, 1):
            text = f"{job} of {span}: {worst.items_failed} of {worst.items_processed} items have failed"
            yield Alert("items_failed", Level.WARNING, subject, text)


def onboarding_alert(settled: Settled, day: date) -> Alert | None:
    """Return the alert for more than a twentieth of a day's new symbols failing; a mistyped ticker does not count."""
    total = settled.completed + settled.failed
    if settled.failed <= MAX_ONBOARDING_FAILURES * total:
        return None
    text = f"{settled.failed} of {total} new symbols could not be learnt since {day}"
    return Alert("onboarding_failed", Level.WARNING, str(day), text)


def late_alert(job: str, due: datetime, target: date) -> Alert:
    """Return the alert for a batch that should have started."""
    text = f"{job} of {target}, due at {due:%Y-%m-%d %H:%M} New York, has not started"
    return Alert("batch_late", Level.CRITICAL, f"{job} {due:%Y-%m-%d}", text)


def behind_alert(expected: date, newest: date | None, behind: int | None) -> Alert | None:
    """Return the alert for prices that do not reach the session they should; one behind is a warning."""
    if behind == 0:
        return None
    level = Level.WARNING if behind == 1 else Level.CRITICAL
    text = f"prices reach to {newest or 'no session at all'}, expected is {expected}"
    return Alert("data_behind", level, str(expected), text)

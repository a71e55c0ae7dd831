"""What the operator is alerted to: pure functions of run records, the onboarding queue and the tables' freshness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from closingbell.operations.freshness import Freshness, Level
from closingbell.operations.jobs import JobType
from closingbell.operations.planning import format_range

MAX_FAILED_SHARE = 0.1
"""Share of a batch's items that may fail without an alert."""

MAX_FAILED_ONBOARDING = 0.05
"""Share of a day's new symbols that may fail without an alert."""


@dataclass(frozen=True)
class Alert:
    """Something that the operator must know, sent once.

    Parameters
    ----------
    kind : str
        ``batch_late``, ``batch_failed``, ``items_failed``, ``onboarding_failed`` or ``data_behind``.
    level : Level
    subject : str
        What it is about. Alerts of equal kind, level and subject are the same alert.
    text : str
        One line for people.
    """

    kind: str
    level: Level
    subject: str
    text: str

    @property
    def key(self) -> str:
        """Return what identifies the alert among those already sent."""
        return f"{self.kind} {self.level} {self.subject}"


class JobRecord(Protocol):
    """The run record of a job type and session."""

    job_type: str
    session: date
    run_id: str
    status: str
    items_processed: int
    items_failed: int
    failed_items: list[dict[str, str]]


class SettledRequests(Protocol):
    """How many requested symbols have become active, and how many have failed."""

    @property
    def completed(self) -> int:
        """Return how many are active."""

    @property
    def failed(self) -> int:
        """Return how many could not be onboarded although the provider may know them."""


def batch_alerts(records: Iterable[JobRecord]) -> Iterator[Alert]:
    """Yield an alert for each failed run, and for each batch in which more than a tenth of the items failed.

    The items of onboarding runs are left to `onboarding_alert`, which does not count mistyped tickers.
    """
    runs: dict[tuple[str, str], list[JobRecord]] = {}
    for record in records:
        runs.setdefault((record.job_type, record.run_id), []).append(record)
    for (job, run_id), rows in runs.items():
        sessions, last = format_range([row.session for row in rows]), rows[-1]
        subject = f"{job} {sessions} {run_id}"
        if last.status == "failed":
            reason = last.failed_items[-1]["reason"] if last.failed_items else "see its run"
            yield Alert("batch_failed", Level.CRITICAL, subject, f"{job} of {sessions} has failed: {reason}")
        elif job != JobType.SYMBOL_ONBOARDING and last.items_failed > MAX_FAILED_SHARE * max(last.items_processed, 1):
            text = f"{job} of {sessions}: {last.items_failed} of {last.items_processed} items have failed"
            yield Alert("items_failed", Level.WARNING, subject, text)


def onboarding_alert(settled: SettledRequests, day: date) -> Alert | None:
    """Return the alert that over a twentieth of a day's new symbols have failed; mistyped tickers do not count."""
    total = settled.completed + settled.failed
    if settled.failed <= MAX_FAILED_ONBOARDING * total:
        return None
    text = f"{settled.failed} of {total} new symbols could not be onboarded since {day}"
    return Alert("onboarding_failed", Level.WARNING, str(day), text)


def late_alert(job: str, due: datetime, target: date) -> Alert:
    """Return the alert that a batch has not started."""
    text = f"{job} of {target}, due at {due:%Y-%m-%d %H:%M} New York, has not started"
    return Alert("batch_late", Level.CRITICAL, f"{job} {due:%Y-%m-%d}", text)


def behind_alert(fresh: Freshness) -> Alert | None:
    """Return the alert that prices do not reach the expected session."""
    if fresh.level is Level.CURRENT:
        return None
    text = f"the newest prices are of {fresh.as_of or 'no session'}, but those of {fresh.expected} are expected"
    return Alert("data_behind", fresh.level, str(fresh.expected), text)

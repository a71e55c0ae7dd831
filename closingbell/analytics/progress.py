"""How far the plant is with onboarding a portfolio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from closingbell.batch.steps import step_names
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.repositories import accounts, factors, run_records
from closingbell.repositories.accounts import Account, Held, Snapshot
from closingbell.repositories.database import Connection

OnboardingState = Literal["pending", "running", "completed", "partial", "failed"]


@dataclass(frozen=True)
class Phase:
    """A phase of the work, and how many of its items are done."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class FailedSymbol:
    """A symbol that could not be onboarded, and why."""

    symbol: str
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far the plant is with a portfolio.

    Parameters
    ----------
    portfolio_id : int
    status : {"pending", "running", "completed", "partial", "failed"}
        Completed and partial come from the snapshot.
    mode : Mode
    phases : list of Phase
    percent : int
    known, pending, private : list of str
        The symbols with prices, those that are being onboarded, and those without a market price.
    failed : list of FailedSymbol
    snapshot : Snapshot or None
        The latest one.
    positions : int
        How many positions the portfolio has.
    """

    portfolio_id: int
    status: OnboardingState
    mode: Mode
    phases: list[Phase]
    percent: int
    known: list[str]
    pending: list[str]
    private: list[str]
    failed: list[FailedSymbol]
    snapshot: Snapshot | None
    positions: int


def read_progress(connection: Connection, owner: str, portfolio_id: int, mode: Mode) -> Progress:
    """Return how far the plant is with a portfolio.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    """
    # The order matters: a symbol that becomes active between the two reads has marked its portfolios as stale, so the
    # portfolio is not taken for complete. In the other order it would be, although its snapshot lacks the symbol.
    held = accounts.positions(connection, owner, portfolio_id)
    account = accounts.require(connection, owner, portfolio_id)
    pending = sorted({position.symbol for position in held if position.requested})
    failed = _failed(held)
    private = sorted({position.symbol for position in held if position.symbol_id is None})
    market = {position.symbol for position in held if position.symbol_id is not None}
    known = sorted(market - set(pending) - {failure.symbol for failure in failed})
    if pending and mode is Mode.COMBINED:
        phases, running = _batch_phases(connection)
    else:
        phases, running = [], any(position.leased for position in held)
    phases = phases or [
        Phase("symbols", len(known) + len(failed), len(known) + len(failed) + len(pending)),
        Phase("snapshot", int(account.snapshot is not None and account.up_to_date), 1),
    ]
    all_failed = bool(failed) and not known and not private
    status = _state(account, pending=bool(pending), running=running, all_failed=all_failed)
    return Progress(
        portfolio_id=account.id,
        status=status,
        mode=mode,
        phases=phases,
        percent=_percent(status, phases),
        known=known,
        pending=pending,
        private=private,
        failed=failed,
        snapshot=account.snapshot,
        positions=account.positions,
    )


def _failed(held: Sequence[Held]) -> list[FailedSymbol]:
    reasons = {position.symbol: position.last_error or "" for position in held if position.symbol_status == "failed"}
    return [FailedSymbol(symbol, reason) for symbol, reason in sorted(reasons.items())]


def _percent(status: OnboardingState, phases: Sequence[Phase]) -> int:
    """Return the share of items that are done; 100 only when nothing is left to do."""
    if status in {"completed", "partial", "failed"}:
        return 100
    done, total = sum(phase.done for phase in phases), sum(phase.total for phase in phases)
    return min(99, 100 * done // max(total, 1))


def _batch_phases(connection: Connection) -> tuple[list[Phase], bool]:
    """Return the steps of the combined batch as phases, and whether it runs; no phases if it does not."""
    session = factors.newest_session(connection)
    record = None if session is None else run_records.find(connection, JobType.DAILY_BATCH, session)
    if record is None or record.status != run_records.RUNNING:
        return [], False
    return [Phase(step, int(step in record.phases), 1) for step in step_names(JobType.DAILY_BATCH)], True


def _state(account: Account, *, pending: bool, running: bool, all_failed: bool) -> OnboardingState:
    if pending:
        return "running" if running else "pending"
    if not account.up_to_date:
        return "running"
    if account.snapshot is None:
        # The inception lies after the newest computed session.
        return "pending"
    if all_failed:
        return "failed"
    return "completed" if account.snapshot.status == "complete" else "partial"

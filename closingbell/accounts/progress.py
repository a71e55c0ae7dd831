"""How far the plant is with what a user has asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from closingbell.accounts.uploading import PATIENCE
from closingbell.batch.onboarding import write_portfolios
from closingbell.batch.steps import step_names
from closingbell.errors import NotFoundError
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.repositories import accounts, factors, run_records
from closingbell.repositories.accounts import Account
from closingbell.repositories.database import Connection, Database

State = Literal["pending", "running", "completed", "partial", "failed"]


@dataclass(frozen=True)
class Phase:
    """A part of the work: how many of its items are done."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Progress:
    """How far the plant is with a portfolio.

    Parameters
    ----------
    status : {"pending", "running", "completed", "partial", "failed"}
        Completed and partial are what the snapshot says of itself.
    phases : list of Phase
    percent : int
    known, pending, private : list of str
        The symbols whose prices are there, those that are still being learnt, and those without a market price.
    failed : dict of str to str
        Symbols that could not be learnt, with the reason.
    account : Account
    """

    status: State
    phases: list[Phase]
    percent: int
    known: list[str]
    pending: list[str]
    private: list[str]
    failed: dict[str, str]
    account: Account


def progress(connection: Connection, owner: str, portfolio_id: int, mode: Mode) -> Progress:
    """Return how far the plant is with a portfolio.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    """
    # In this order: when the last symbol becomes active in between, the portfolio is stale already when it is read. The
    # other way round it would seem to have been written without the symbol.
    held = accounts.positions(connection, owner, portfolio_id)
    account = require(connection, owner, portfolio_id)
    pending = sorted({each.symbol for each in held if each.requested})
    failed = {each.symbol: each.last_error or "" for each in held if each.symbol_status == "failed"}
    private = sorted({each.symbol for each in held if each.symbol_id is None})
    known = sorted({each.symbol for each in held if each.symbol_id} - set(pending) - set(failed))
    phases, running = (
        _batch_phases(connection) if pending and mode is Mode.COMBINED else ([], any(each.leased for each in held))
    )
    phases = phases or [
        Phase("symbols", len(known) + len(failed), len(known) + len(failed) + len(pending)),
        Phase("snapshot", int(account.snapshot is not None and account.stale_since is None), 1),
    ]
    status = _state(account, pending=bool(pending), running=running, hopeless=bool(failed) and not known + private)
    done, total = sum(phase.done for phase in phases), sum(phase.total for phase in phases)
    percent = 100 if status in {"completed", "partial", "failed"} else min(99, 100 * done // max(total, 1))
    return Progress(status, phases, percent, known, pending, private, failed, account)


def _batch_phases(connection: Connection) -> tuple[list[Phase], bool]:
    """Return the steps of the combined batch as phases, and whether one runs."""
    session = factors.newest_session(connection)
    record = None if session is None else run_records.find(connection, JobType.DAILY_BATCH, session)
    if record is None or record.status != run_records.RUNNING:
        return [], False
    return [Phase(step, int(step in record.phases), 1) for step in step_names(JobType.DAILY_BATCH)], True


def _state(account: Account, *, pending: bool, running: bool, hopeless: bool) -> State:
    if pending:
        return "running" if running else "pending"
    if account.stale_since is not None:
        return "running"
    if account.snapshot is None:
        # It starts with a session that has not been computed yet.
        return "pending"
    if hopeless:
        return "failed"
    return "completed" if account.snapshot.status == "complete" else "partial"


def require(connection: Connection, owner: str, portfolio_id: int) -> Account:
    """Return a portfolio, or raise `NotFoundError`."""
    account = accounts.find(connection, owner, portfolio_id)
    if account is None:
        raise NotFoundError(f"there is no portfolio {portfolio_id}")
    return account


def calculate(database: Database, calendar: SessionCalendar, owner: str, portfolio_id: int) -> None:
    """Write a portfolio's snapshots anew.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    BusyError
        If the batch writes portfolios just now.
    """
    with database.transaction() as connection:
        require(connection, owner, portfolio_id)
    write_portfolios(database, calendar, [portfolio_id], PATIENCE)

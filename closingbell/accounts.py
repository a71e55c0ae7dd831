"""What users do with their portfolios: upload, look, correct; and how far the plant is with what they asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from time import monotonic
from typing import Literal

from closingbell.batch.portfolios import CONTRACT_SIZE, PositionValue, first_price_day, value_positions
from closingbell.calendar import SessionCalendar
from closingbell.errors import ClosingBellError
from closingbell.jobs import STEPS, JobType
from closingbell.ledger import OPTIONS, PRIVATE, NewPortfolio, NewPosition
from closingbell.onboarding import write_portfolios
from closingbell.repositories import accounts, factors, history, portfolios, queue, records
from closingbell.repositories.accounts import Account, Held
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.portfolios import BusyError
from closingbell.repositories.queue import Wanted
from closingbell.repositories.universe import Kind
from closingbell.uploads import Code, Detail, PortfolioForm, RejectedError, read_position

logger = logging.getLogger("closingbell.onboarding")

PATIENCE = timedelta(seconds=3)
"""How long a request waits while the batch writes portfolios; then the snapshot follows by itself."""

FUNDS = {"ETF", "MUTUAL_FUND"}

SUGGESTIONS = 3

DataStatus = Literal["available", "stale", "pending", "unavailable"]
State = Literal["pending", "running", "completed", "partial", "failed", "unknown"]


class NotFoundError(ClosingBellError):
    """There is no such row, or it is somebody else's."""


class ConflictError(ClosingBellError):
    """The request contradicts what is stored."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True)
class Uploader:
    """Who uploads, and the identity of the request.

    Parameters
    ----------
    owner : str
    sha256 : str
        Of the file.
    idempotency_key : str or None
        What the caller repeats with a request that it is not sure of.
    """

    owner: str
    sha256: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Uploaded:
    """The portfolio of an upload, and whether it had been made by the same request before."""

    portfolio_id: int
    repeated: bool


def upload(
    database: Database,
    calendar: SessionCalendar,
    uploader: Uploader,
    form: PortfolioForm,
    positions: Sequence[NewPosition],
    *,
    today: date,
    latest: date,
) -> Uploaded:
    """Store a portfolio, ask for the symbols that the plant does not know, and write the first snapshot.

    Parameters
    ----------
    today : date
        The day on which the quantities are stated.
    latest : date
        The newest session that has closed; portfolios start at the newest one that has been computed.

    Raises
    ------
    RejectedError
        If the account exists (ERR_PORT_001), or the inception lies before all prices.
    ConflictError
        If the idempotency key belongs to another request.
    """
    began = monotonic()
    with database.transaction() as connection:
        stored = _store(connection, calendar, uploader, form, positions, today=today, latest=latest)
    if not stored.repeated:
        write_now(database, calendar, stored.portfolio_id)
    elapsed = (monotonic() - began) * 1000
    logger.info("V2_ONBOARDING step=upload symbol=- portfolio_id=%d duration_ms=%d", stored.portfolio_id, elapsed)
    return stored


def _store(
    connection: Connection,
    calendar: SessionCalendar,
    uploader: Uploader,
    form: PortfolioForm,
    positions: Sequence[NewPosition],
    *,
    today: date,
    latest: date,
) -> Uploaded:
    before = _made_before(connection, uploader, form)
    if before is not None:
        return before
    inception = form.inception or factors.newest_session(connection) or latest
    if inception < calendar.first_day:
        message = f"there are no prices before {calendar.first_day}"
        detail = Detail(None, "inception_date", Code.DATE_TOO_OLD, message, str(inception))
        raise RejectedError(Code.DATE_TOO_OLD, message, [detail])
    portfolio = NewPortfolio(
        form.name, form.account_name, form.account_type, form.equity, inception, positions=tuple(positions)
    )
    key = portfolios.open_account(connection, uploader.owner, portfolio)
    if key is None:
        # Somebody was a moment faster: perhaps the same request, sent twice.
        before = _made_before(connection, uploader, form)
        if before is not None:
            return before
        raise RejectedError(Code.ACCOUNT_EXISTS, f"you have an account named {form.account_name} already")
    queue.request(connection, wanted(positions, first_price_day(calendar, inception)))
    portfolios.add_positions(connection, key, positions, today)
    portfolios.mark_stale(connection, [key])
    if not accounts.record_upload(
        connection,
        uploader.owner,
        key,
        sha256=uploader.sha256,
        idempotency_key=uploader.idempotency_key,
        rows=len(positions),
    ):
        raise _key_reused()
    return Uploaded(key, repeated=False)


def _made_before(connection: Connection, uploader: Uploader, form: PortfolioForm) -> Uploaded | None:
    """Return the portfolio that the same request has made before."""
    if uploader.idempotency_key is not None:
        made = accounts.upload_of_key(connection, uploader.owner, uploader.idempotency_key)
        if made is not None:
            if (made.sha256, made.account_name) != (uploader.sha256, form.account_name):
                raise _key_reused()
            return Uploaded(made.portfolio_id, repeated=True)
    made = accounts.upload_of_file(connection, uploader.owner, form.account_name, uploader.sha256)
    return None if made is None else Uploaded(made.portfolio_id, repeated=True)


def _key_reused() -> ConflictError:
    return ConflictError(
        "ERR_IDEMPOTENCY_KEY", "this Idempotency-Key belongs to another request", "Send a new key with a new request"
    )


def wanted(positions: Iterable[NewPosition], needed_from: date) -> list[Wanted]:
    """Return the symbols that the plant must know for these positions: those with a market price, once each."""
    found: dict[str, Wanted] = {}
    for position in positions:
        if position.contract is not None:
            underlying = position.contract.underlying
            found.setdefault(underlying, Wanted(underlying, Kind.EQUITY, needed_from))
            found[position.symbol] = Wanted(position.symbol, Kind.OPTION, needed_from, position.contract)
        elif position.investment_class != PRIVATE:
            kind = Kind.ETF if position.investment_subtype in FUNDS else Kind.EQUITY
            found[position.symbol] = Wanted(position.symbol, kind, needed_from)
    return list(found.values())


def write_now(database: Database, calendar: SessionCalendar, portfolio_id: int) -> None:
    """Write the snapshots of a portfolio, as far as its symbols are known; what cannot be done now is done later."""
    try:
        write_portfolios(database, calendar, [portfolio_id], PATIENCE)
    except BusyError:
        logger.info("V2_ONBOARDING step=portfolios status=postponed symbol=- portfolio_id=%d", portfolio_id)
    except Exception:
        # The ledger is stored and marked as stale; whoever reads the log must learn why.
        logger.exception("V2_ONBOARDING step=portfolios status=failed symbol=- portfolio_id=%d", portfolio_id)


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


# ---------------------------------------------------------------- how far the plant is


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
    status : {"pending", "running", "completed", "partial", "failed", "unknown"}
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


def progress(connection: Connection, owner: str, portfolio_id: int, *, v2: bool) -> Progress:
    """Return how far the plant is with a portfolio.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    """
    account = require(connection, owner, portfolio_id)
    held = accounts.positions(connection, owner, portfolio_id)
    pending = sorted({each.symbol for each in held if each.requested})
    failed = {each.symbol: each.last_error or "" for each in held if each.symbol_status == "failed"}
    private = sorted({each.symbol for each in held if each.symbol_id is None})
    known = sorted({each.symbol for each in held if each.symbol_id} - set(pending) - set(failed))
    phases, running = _batch_phases(connection) if pending and not v2 else ([], any(each.leased for each in held))
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
    told = None if session is None else history.story(connection, JobType.DAILY_BATCH, session)
    if told is None or told.status != history.RUNNING:
        return [], False
    return [Phase(step, int(step in told.phases), 1) for step in STEPS[JobType.DAILY_BATCH]], True


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


# ---------------------------------------------------------------- positions


@dataclass(frozen=True)
class Position:
    """A position as its owner sees it.

    Parameters
    ----------
    held : Held
    state : {"open", "closed", "not_yet"}
        On the session of the portfolio's snapshot; an expired option is closed.
    data_status : {"available", "stale", "pending", "unavailable"}
    price, value, unrealized, realized : Decimal or None
        Money; price per unit. Realized once it is closed by an exit.
    reason : str or None
        Why there is no price.
    suggestions : list of str
        Tickers that may be meant instead of one that nobody knows.
    """

    held: Held
    state: Literal["open", "closed", "not_yet"]
    data_status: DataStatus
    price: Decimal | None
    value: Decimal | None
    unrealized: Decimal | None
    realized: Decimal | None
    reason: str | None
    suggestions: list[str]


def list_positions(
    connection: Connection, calendar: SessionCalendar, owner: str, portfolio_id: int, after: int, most: int
) -> tuple[Account, list[Position]]:
    """Return a portfolio and its positions whose keys come after one.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    """
    account = require(connection, owner, portfolio_id)
    held = accounts.positions(connection, owner, portfolio_id, after, most)
    session = account.snapshot.session if account.snapshot else None
    values = {} if session is None else value_positions(connection, portfolio_id, session, calendar=calendar)
    meant = _suggestions(connection, {each.symbol for each in held if each.symbol_status == "failed"})
    return account, [_view(each, values.get(each.id), session, meant.get(each.symbol, [])) for each in held]


def _view(held: Held, valued: PositionValue | None, session: date | None, suggestions: list[str]) -> Position:
    counted = valued is not None and valued.counted
    state: Literal["open", "closed", "not_yet"] = (
        "open" if counted else "not_yet" if session is None or held.entry_date > session else "closed"
    )
    value = valued.value if valued is not None and counted else None
    units = held.quantity * _multiplier(held)
    realized = None
    if held.exit_price is not None and state == "closed":
        realized = ((held.exit_price - held.entry_price) * units).quantize(Decimal("0.01"))
    status, reason = _data_status(held, valued, counted=counted)
    return Position(
        held,
        state,
        status,
        None if value is None else (value / units).quantize(Decimal("0.000001")),
        value,
        valued.unrealized if valued is not None and counted else None,
        realized,
        reason,
        suggestions,
    )


def _multiplier(held: Held) -> Decimal:
    return Decimal(int(CONTRACT_SIZE)) if held.investment_class == OPTIONS else Decimal(1)


def _data_status(held: Held, valued: PositionValue | None, *, counted: bool) -> tuple[DataStatus, str | None]:
    if held.symbol_status == "failed":
        return "unavailable", held.last_error
    if held.requested:
        return "pending", "the symbol is being learnt"
    if not counted or valued is None or valued.value is not None:
        return ("stale" if valued is not None and valued.stale else "available"), None
    return "unavailable", "there is no price of the last sessions"


def _suggestions(connection: Connection, unknown: set[str]) -> dict[str, list[str]]:
    """Return what may be meant by tickers that nobody knows: what others corrected them to, then close spellings."""
    if not unknown:
        return {}
    learnt, known = accounts.aliases_of(connection, unknown), accounts.known_tickers(connection)
    found = {}
    for ticker in unknown:
        close = get_close_matches(ticker, known, n=SUGGESTIONS, cutoff=0.6)
        found[ticker] = list(dict.fromkeys([*([learnt[ticker]] if ticker in learnt else []), *close]))[:SUGGESTIONS]
    return found


def _require_position(connection: Connection, owner: str, portfolio_id: int, position_id: int) -> Held:
    held = accounts.position(connection, owner, portfolio_id, position_id)
    if held is None:
        raise NotFoundError(f"there is no position {position_id} in portfolio {portfolio_id}")
    return held


def edit_position(
    database: Database,
    calendar: SessionCalendar,
    owner: str,
    portfolio_id: int,
    position_id: int,
    cells: Mapping[str, str | None],
    *,
    today: date,
) -> None:
    """Change some of a position's cells, by the rules of the file it came from, and write the snapshots anew.

    Editing a ticker that nobody knows into another one teaches the plant what was meant.

    Raises
    ------
    NotFoundError, RejectedError
    """
    with database.transaction() as connection:
        account = require(connection, owner, portfolio_id)
        portfolios.lock(connection, [portfolio_id], PATIENCE)
        held = _require_position(connection, owner, portfolio_id, position_id)
        changed = read_position({**_cells(held), **_without_derived(cells)}, today=today)
        queue.request(connection, wanted([changed], first_price_day(calendar, account.inception)))
        columns = _columns(connection, changed)
        if changed.quantity != held.quantity:
            columns["quantity_as_of"] = today
        accounts.change_position(connection, position_id, columns)
        if changed.symbol != held.symbol and held.symbol_status == "failed":
            records.record_correction(connection, portfolio_id, held.symbol, changed.symbol)
        portfolios.mark_stale(connection, [portfolio_id])
    write_now(database, calendar, portfolio_id)


_CELLS = {
    "Symbol": "symbol",
    "Quantity": "quantity",
    "Entry Price Per Share": "entry_price",
    "Entry Date": "entry_date",
    "Investment Class": "investment_class",
    "Investment Subtype": "investment_subtype",
    "Exit Date": "exit_date",
    "Exit Price Per Share": "exit_price",
}
"""The columns of the file, and where they are stored."""


def _cells(held: Held) -> dict[str, str | None]:
    values = {cell: getattr(held, name) for cell, name in _CELLS.items()}
    return {cell: None if value is None else str(value) for cell, value in values.items()}


def _without_derived(cells: Mapping[str, str | None]) -> dict[str, str | None]:
    """Let class and subtype follow a new symbol, unless they are given with it."""
    derived = {"Investment Class": None, "Investment Subtype": None} if "Symbol" in cells else {}
    return {**derived, **cells}


def _columns(connection: Connection, position: NewPosition) -> dict[str, object]:
    names = (*(name for name in _CELLS.values()), "position_type")
    columns: dict[str, object] = {name: getattr(position, name) for name in names}
    return {**columns, "symbol_id": portfolios.symbol_key(connection, position)}


def close_position(
    database: Database,
    calendar: SessionCalendar,
    owner: str,
    portfolio_id: int,
    position_id: int,
    *,
    quantity: Decimal | None,
    exit_price: Decimal,
    exit_date: date,
    today: date,
) -> int:
    """Close a position, or a part of it, which becomes a lot of its own; return the key of the closed lot.

    Raises
    ------
    NotFoundError, RejectedError
    ConflictError
        If it is closed already, or the part is larger than the whole.
    """
    with database.transaction() as connection:
        require(connection, owner, portfolio_id)
        portfolios.lock(connection, [portfolio_id], PATIENCE)
        held = _require_position(connection, owner, portfolio_id, position_id)
        if held.exit_date is not None:
            raise ConflictError("ERR_POSITION_CLOSED", f"position {position_id} is closed already")
        part = held.quantity if quantity is None else quantity.copy_abs().copy_sign(held.quantity)
        if abs(part) > abs(held.quantity):
            raise ConflictError(
                "ERR_POSITION_QUANTITY", f"position {position_id} holds {abs(held.quantity)}, not {abs(part)}"
            )
        cells = {"Quantity": str(part), "Exit Price Per Share": str(exit_price), "Exit Date": str(exit_date)}
        closed = read_position({**_cells(held), **cells}, today=today)
        if part == held.quantity:
            changes = {"exit_price": closed.exit_price, "exit_date": closed.exit_date}
            accounts.change_position(connection, position_id, changes)
            key = position_id
        else:
            key = accounts.split_lot(connection, position_id, closed.quantity, exit_price, exit_date)
        portfolios.mark_stale(connection, [portfolio_id])
    write_now(database, calendar, portfolio_id)
    return key


def remove_position(
    database: Database, calendar: SessionCalendar, owner: str, portfolio_id: int, position_id: int
) -> None:
    """Remove a position, and write the snapshots anew, or raise `NotFoundError`."""
    with database.transaction() as connection:
        require(connection, owner, portfolio_id)
        portfolios.lock(connection, [portfolio_id], PATIENCE)
        _require_position(connection, owner, portfolio_id, position_id)
        accounts.delete_position(connection, position_id)
        portfolios.mark_stale(connection, [portfolio_id])
    write_now(database, calendar, portfolio_id)


def value_by_hand(
    database: Database,
    calendar: SessionCalendar,
    owner: str,
    portfolio_id: int,
    position_id: int,
    *,
    day: date,
    price: Decimal,
) -> None:
    """Store what a private asset is worth per unit from a day on, and write the snapshots anew.

    Raises
    ------
    NotFoundError
    ConflictError
        If the position has a market price.
    """
    with database.transaction() as connection:
        require(connection, owner, portfolio_id)
        portfolios.lock(connection, [portfolio_id], PATIENCE)
        held = _require_position(connection, owner, portfolio_id, position_id)
        if held.investment_class != PRIVATE:
            raise ConflictError(
                "ERR_NOT_PRIVATE", f"{held.symbol} has a market price", "Only private assets are valued by hand"
            )
        accounts.value_by_hand(connection, position_id, day, price)
        portfolios.mark_stale(connection, [portfolio_id])
    write_now(database, calendar, portfolio_id)

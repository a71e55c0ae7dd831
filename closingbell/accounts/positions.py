"""Positions as their owner sees and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal

from closingbell.accounts.progress import require
from closingbell.accounts.uploading import PATIENCE, symbol_requests, write_now
from closingbell.batch.portfolios import PositionValue, first_price_day, value_positions
from closingbell.errors import ConflictError, NotFoundError
from closingbell.ledger.entries import OPTIONS, PRIVATE, NewPosition
from closingbell.ledger.uploads import read_position
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE
from closingbell.repositories import accounts, aliases, portfolios, queue
from closingbell.repositories.accounts import Account, Held
from closingbell.repositories.database import Connection, Database

SUGGESTIONS = 3

DataStatus = Literal["available", "stale", "pending", "unavailable"]

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
    return Decimal(CONTRACT_SIZE if held.investment_class == OPTIONS else 1)


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
    learnt, known = aliases.aliases_of(connection, unknown), aliases.known_tickers(connection)
    found = {}
    for ticker in unknown:
        close = get_close_matches(ticker, known, n=SUGGESTIONS, cutoff=0.6)
        found[ticker] = list(dict.fromkeys([*([learnt[ticker]] if ticker in learnt else []), *close]))[:SUGGESTIONS]
    return found


class OwnPosition:
    """A position to change. Every change is followed by the portfolio's snapshots, written anew.

    Parameters
    ----------
    database : Database
    calendar : SessionCalendar
    owner : str
    portfolio_id, position_id : int
    """

    def __init__(
        self, database: Database, calendar: SessionCalendar, owner: str, portfolio_id: int, position_id: int
    ) -> None:
        self._database = database
        self._calendar = calendar
        self._owner = owner
        self._portfolio_id = portfolio_id
        self._position_id = position_id

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, Account, Held]]:
        """Keep others from the portfolio while the block changes it.

        Raises
        ------
        NotFoundError
            If the owner has no such position.
        BusyError
            If the batch writes portfolios just now.
        """
        with self._database.transaction() as connection:
            account = require(connection, self._owner, self._portfolio_id)
            portfolios.lock(connection, [self._portfolio_id], PATIENCE)
            held = accounts.position(connection, self._owner, self._portfolio_id, self._position_id)
            if held is None:
                raise NotFoundError(f"there is no position {self._position_id} in portfolio {self._portfolio_id}")
            yield connection, account, held
            portfolios.mark_stale(connection, [self._portfolio_id])
        write_now(self._database, self._calendar, self._portfolio_id)

    def view(self) -> Position:
        """Return the position, or raise `NotFoundError`."""
        with self._database.transaction() as connection:
            _, found = list_positions(
                connection, self._calendar, self._owner, self._portfolio_id, self._position_id - 1, 1
            )
        return found[0]

    def edit(self, cells: Mapping[str, str | None], *, today: date) -> None:
        """Change some of its cells, by the rules of the file it came from.

        Editing a ticker that nobody knows into another one teaches the plant what was meant.

        Raises
        ------
        NotFoundError, BusyError, RejectedError
        """
        with self._changing() as (connection, account, held):
            changed = read_position({**_cells(held), **_without_derived(cells)}, today=today)
            queue.request(connection, symbol_requests([changed], first_price_day(self._calendar, account.inception)))
            columns = _columns(connection, changed)
            if changed.quantity != held.quantity:
                columns["quantity_as_of"] = today
            accounts.change_position(connection, held.id, columns)
            if changed.symbol != held.symbol and held.symbol_status == "failed":
                aliases.record_correction(connection, held.portfolio_id, held.symbol, changed.symbol)

    def close(self, quantity: Decimal | None, exit_price: Decimal, exit_date: date, *, today: date) -> int:
        """Close it, or a part of it, which becomes a lot of its own; return the key of the closed lot.

        Raises
        ------
        NotFoundError, BusyError, RejectedError
        ConflictError
            If it is closed already, or the part is larger than the whole.
        """
        with self._changing() as (connection, _, held):
            if held.exit_date is not None:
                raise ConflictError("ERR_POSITION_CLOSED", f"position {held.id} is closed already")
            part = held.quantity if quantity is None else quantity.copy_abs().copy_sign(held.quantity)
            if abs(part) > abs(held.quantity):
                message = f"position {held.id} holds {abs(held.quantity)}, not {abs(part)}"
                raise ConflictError("ERR_POSITION_QUANTITY", message)
            cells = {"Quantity": str(part), "Exit Price Per Share": str(exit_price), "Exit Date": str(exit_date)}
            closed = read_position({**_cells(held), **cells}, today=today)
            if part != held.quantity:
                return accounts.split_lot(connection, held.id, closed.quantity, exit_price, exit_date)
            changes = {"exit_price": closed.exit_price, "exit_date": closed.exit_date}
            accounts.change_position(connection, held.id, changes)
            return held.id

    def remove(self) -> None:
        """Remove it from the ledger, as if it had never been there, or raise `NotFoundError` or `BusyError`."""
        with self._changing() as (connection, _, held):
            accounts.delete_position(connection, held.id)

    def value_by_hand(self, day: date, price: Decimal) -> None:
        """Store what a private asset is worth per unit from a day on.

        Raises
        ------
        NotFoundError, BusyError
        ConflictError
            If the position has a market price.
        """
        with self._changing() as (connection, _, held):
            if held.investment_class != PRIVATE:
                hint = "Only private assets are valued by hand"
                raise ConflictError("ERR_NOT_PRIVATE", f"{held.symbol} has a market price", hint)
            accounts.value_by_hand(connection, held.id, day, price)


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

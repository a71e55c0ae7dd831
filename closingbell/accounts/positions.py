"""One position of one owner: edit, close, remove, value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal

from closingbell.accounts.snapshots import WRITE_TIMEOUT, write_now
from closingbell.accounts.uploading import symbol_requests
from closingbell.batch.portfolios import first_price_day
from closingbell.errors import ConflictError
from closingbell.ledger.entries import PRIVATE, NewPosition
from closingbell.ledger.uploads import COLUMN_OF_FIELD, read_position
from closingbell.market.calendar import SessionCalendar
from closingbell.repositories import accounts, aliases, portfolios, queue
from closingbell.repositories.accounts import Account, Held
from closingbell.repositories.database import Connection, Database


class OwnPosition:
    """Commands on one position. After each one the portfolio's snapshots are written again.

    Every command raises

    - `NotFoundError` if the owner has no such position,
    - `BusyError` if the batch is writing portfolios.

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
        """Lock the portfolio while the block changes it, then write its snapshots."""
        with self._database.transaction() as connection:
            account = accounts.require(connection, self._owner, self._portfolio_id)
            portfolios.lock(connection, [self._portfolio_id], WRITE_TIMEOUT)
            held = accounts.require_position(connection, self._owner, self._portfolio_id, self._position_id)
            yield connection, account, held
            portfolios.mark_stale(connection, [self._portfolio_id])
        write_now(self._database, self._calendar, self._portfolio_id)

    def edit(self, changes: Mapping[str, Decimal | str | None], *, today: date) -> None:
        """Change some fields, by the rules of the uploaded file.

        Editing an unknown ticker into another one is recorded as a correction, which aliases are derived from.

        Parameters
        ----------
        changes : mapping of str to Decimal, str or None
            By field, as `COLUMN_OF_FIELD` names them; None empties an optional field, the other fields stay.
        today : date
            No date lies after it; a changed quantity is stated on it.

        Raises
        ------
        RejectedError
            With every field that is wrong.
        """
        with self._changing() as (connection, account, held):
            changed = _changed(held, _without_derived(changes), today)
            queue.request(connection, symbol_requests([changed], first_price_day(self._calendar, account.inception)))
            columns = _stored(connection, changed)
            if changed.quantity != held.quantity:
                columns["quantity_as_of"] = today
            accounts.change_position(connection, self._owner, held.id, columns)
            if changed.symbol != held.symbol and held.symbol_status == "failed":
                aliases.record_correction(connection, held.portfolio_id, held.symbol, changed.symbol)

    def close(self, quantity: Decimal | None, exit_price: Decimal, exit_date: date, *, today: date) -> int:
        """Close the position or some of its units, which become a new lot; return the key of the closed lot.

        Parameters
        ----------
        quantity : Decimal or None
            Units to close, of any sign; None: all.
        exit_price : Decimal
            Money per unit.
        exit_date, today : date
            The exit does not lie after today.

        Raises
        ------
        RejectedError
            If price or date break a rule of the uploaded file.
        ConflictError
            If the position is closed already, or has fewer units.
        """
        with self._changing() as (connection, _, held):
            if held.exit_date is not None:
                raise ConflictError("ERR_POSITION_CLOSED", f"position {held.id} is closed already")
            units = held.quantity if quantity is None else quantity.copy_abs().copy_sign(held.quantity)
            if abs(units) > abs(held.quantity):
                message = f"position {held.id} holds {abs(held.quantity)}, not {abs(units)}"
                raise ConflictError("ERR_POSITION_QUANTITY", message)
            exit_fields = {"exit_price": exit_price, "exit_date": exit_date}
            closed = _changed(held, {"quantity": units, **exit_fields}, today)
            if units != held.quantity:
                return accounts.split_lot(
                    connection,
                    self._owner,
                    held.id,
                    quantity=closed.quantity,
                    exit_price=exit_price,
                    exit_date=exit_date,
                )
            accounts.change_position(connection, self._owner, held.id, exit_fields)
            return held.id

    def remove(self) -> None:
        """Remove the position from the ledger, as if it had never been held."""
        with self._changing() as (connection, _, held):
            accounts.delete_position(connection, self._owner, held.id)

    def value_by_hand(self, day: date, price: Decimal) -> None:
        """Store the value of a private asset per unit from a day on.

        Raises
        ------
        ConflictError
            If the position has a market price.
        """
        with self._changing() as (connection, _, held):
            if held.investment_class != PRIVATE:
                hint = "Only private assets are valued by hand"
                raise ConflictError("ERR_NOT_PRIVATE", f"{held.symbol} has a market price", hint)
            accounts.value_by_hand(connection, self._owner, held.id, day, price)


def _changed(held: Held, changes: Mapping[str, object], today: date) -> NewPosition:
    """Return a position with some fields changed, checked like a row of an uploaded file."""
    fields = {**asdict(held), **changes}
    cells = {column: None if fields[name] is None else str(fields[name]) for name, column in COLUMN_OF_FIELD.items()}
    return read_position(cells, today=today)


def _without_derived(changes: Mapping[str, object]) -> dict[str, object]:
    """Let class and subtype follow a new symbol, unless they are given with it."""
    derived = {"investment_class": None, "investment_subtype": None} if "symbol" in changes else {}
    return {**derived, **changes}


def _stored(connection: Connection, position: NewPosition) -> dict[str, object]:
    """Return the values of a position by the names of the columns that store them."""
    fields = asdict(position)
    return {
        **{name: fields[name] for name in COLUMN_OF_FIELD},
        "position_type": position.position_type,
        "symbol_id": portfolios.symbol_key(connection, position),
    }

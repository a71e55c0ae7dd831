"""Positions with their price, value and profit at the session of the latest snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal

from closingbell.batch.portfolios import PositionValue, value_positions
from closingbell.ledger.entries import OPTIONS
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE
from closingbell.repositories import aliases
from closingbell.repositories.accounts import Account, Held
from closingbell.repositories.database import Connection

MOST_SUGGESTIONS = 3
LEAST_SIMILARITY = 0.6
"""Of a ticker to the unknown one, from 0 to 1, as difflib measures it."""

CENT, PRICE_STEP = Decimal("0.01"), Decimal("0.000001")

DataStatus = Literal["available", "stale", "pending", "unavailable"]
PositionState = Literal["open", "closed", "not_yet"]


@dataclass(frozen=True)
class Position:
    """A position with its value at the close of the snapshot's session.

    Parameters
    ----------
    id, symbol, investment_class, investment_subtype, position_type
    quantity, entry_price, entry_date, exit_price, exit_date
        As stored in the ledger.
    state : {"open", "closed", "not_yet"}
        On the session of the portfolio's snapshot; an expired option is closed.
    data_status : {"available", "stale", "pending", "unavailable"}
    reason : str or None
        Why there is no price.
    price : Decimal or None
        Money per unit.
    value, unrealized_pnl, realized_pnl : Decimal or None
        Money. A position that was closed by an exit has a realized P&L.
    suggestions : list of str
        Tickers that may be meant instead of an unknown one.
    """

    id: int
    symbol: str
    investment_class: str
    investment_subtype: str | None
    position_type: str
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    state: PositionState
    data_status: DataStatus
    reason: str | None
    price: Decimal | None
    value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    suggestions: list[str]


def view_positions(
    connection: Connection, calendar: SessionCalendar, account: Account, held: Sequence[Held]
) -> list[Position]:
    """Return positions of a portfolio with their values and suggestions."""
    session = account.snapshot.session if account.snapshot else None
    values = {} if session is None else value_positions(connection, account.id, session, calendar=calendar)
    suggestions = _suggestions(connection, {row.symbol for row in held if row.symbol_status == "failed"})
    return [_view(row, values.get(row.id), session, suggestions.get(row.symbol, [])) for row in held]


def _view(held: Held, valued: PositionValue | None, session: date | None, suggestions: list[str]) -> Position:
    # A position that does not count on the session has no value.
    counted = valued if valued is not None and valued.counted else None
    state = _state(held, session, counted=counted is not None)
    status, reason = _data_status(held, counted)
    units = held.quantity * (CONTRACT_SIZE if held.investment_class == OPTIONS else 1)
    value = None if counted is None else counted.value
    return Position(
        id=held.id,
        symbol=held.symbol,
        investment_class=held.investment_class,
        investment_subtype=held.investment_subtype,
        position_type=held.position_type,
        quantity=held.quantity,
        entry_price=held.entry_price,
        entry_date=held.entry_date,
        exit_price=held.exit_price,
        exit_date=held.exit_date,
        state=state,
        data_status=status,
        reason=reason,
        price=None if value is None else (value / units).quantize(PRICE_STEP),
        value=value,
        unrealized_pnl=None if counted is None else counted.unrealized,
        realized_pnl=None if state != "closed" else _realized(held, units),
        suggestions=suggestions,
    )


def _state(held: Held, session: date | None, *, counted: bool) -> PositionState:
    if counted:
        return "open"
    return "not_yet" if session is None or held.entry_date > session else "closed"


def _realized(held: Held, units: Decimal) -> Decimal | None:
    if held.exit_price is None:
        return None
    return ((held.exit_price - held.entry_price) * units).quantize(CENT)


def _data_status(held: Held, counted: PositionValue | None) -> tuple[DataStatus, str | None]:
    if held.symbol_status == "failed":
        return "unavailable", held.last_error
    if held.requested:
        return "pending", "the symbol is being onboarded"
    if counted is None:
        return "available", None
    if counted.value is None:
        return "unavailable", "there is no price of the last sessions"
    return "stale" if counted.stale else "available", None


def _suggestions(connection: Connection, unknown: set[str]) -> dict[str, list[str]]:
    """Return known tickers that may be meant by unknown ones: first the alias of the ticker, then close spellings."""
    if not unknown:
        return {}
    alias_of, known = aliases.aliases_of(connection, unknown), aliases.known_tickers(connection)
    suggestions = {}
    for ticker in unknown:
        alias = [alias_of[ticker]] if ticker in alias_of else []
        close = get_close_matches(ticker, known, n=MOST_SUGGESTIONS, cutoff=LEAST_SIMILARITY)
        suggestions[ticker] = list(dict.fromkeys([*alias, *close]))[:MOST_SUGGESTIONS]
    return suggestions

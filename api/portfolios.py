"""Portfolios and their positions, as their owner sees and changes them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.context import Calendar, Owner, Today, Warehouse
from api.errors import refusals
from api.onboarding import Valuation, valuation
from closingbell import accounts
from closingbell.accounts import DataStatus, OwnPosition, Position
from closingbell.errors import ConflictError, NotFoundError
from closingbell.ledger.uploads import PortfolioForm, check_form
from closingbell.repositories import accounts as rows
from closingbell.repositories.accounts import Account

router = APIRouter(prefix="/api/v1/portfolios", tags=["portfolios"])

MOST = 500
PAGE = 100


def own_position(
    portfolio_id: int, position_id: int, owner: Owner, database: Warehouse, calendar: Calendar
) -> OwnPosition:
    """Return the position that a path names."""
    return OwnPosition(database, calendar, owner, portfolio_id, position_id)


Own = Annotated[OwnPosition, Depends(own_position)]
After = Annotated[int, Query(ge=0, description="The last key of the page before; `next` of its answer")]
Limit = Annotated[int, Query(ge=1, le=MOST)]


class PortfolioOut(BaseModel):
    """A portfolio with its latest snapshot, which says its session and coverage."""

    id: int
    name: str
    account_name: str
    account_type: str
    equity_balance: Decimal = Field(description="Equity at the close of the inception session")
    inception: date
    created_at: datetime
    positions: int
    up_to_date: bool = Field(description="The snapshot reflects the ledger and every symbol that is known")
    snapshot: Valuation | None


class PortfolioPage(BaseModel):
    """Some portfolios; `next` is the key to go on after, null on the last page."""

    items: list[PortfolioOut]
    next: int | None


class PortfolioChange(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    account_name: str | None = None
    account_type: str | None = None


class PositionOut(BaseModel):
    """A position at the close of the snapshot's session."""

    id: int
    symbol: str
    investment_class: Literal["PUBLIC", "OPTIONS", "PRIVATE"]
    investment_subtype: str | None
    position_type: str = Field(description="LONG, SHORT; for options LC, LP, SC, SP")
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    state: Literal["open", "closed", "not_yet"]
    data_status: DataStatus
    reason: str | None = Field(description="Why there is no price")
    price: Decimal | None = Field(description="Per unit, in the units of `quantity`")
    value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    suggestions: list[str] = Field(description="Tickers that may be meant instead of one that nobody knows")


class PositionPage(BaseModel):
    """Some positions, and the session and coverage of the snapshot that they are valued in."""

    as_of: date | None
    coverage: float | None
    items: list[PositionOut]
    next: int | None


class PositionChange(BaseModel):
    """What to change, by the rules of the uploaded file; what is left out stays, null empties an optional cell."""

    model_config = ConfigDict(extra="forbid")

    symbol: str | None = None
    quantity: Decimal | str | None = None
    entry_price: Decimal | str | None = None
    entry_date: str | None = None
    investment_class: str | None = None
    investment_subtype: str | None = None
    exit_date: str | None = None
    exit_price: Decimal | str | None = None


class Closing(BaseModel):
    """How a position was closed; without a quantity all of it."""

    model_config = ConfigDict(extra="forbid")

    exit_price: Decimal = Field(ge=0)
    exit_date: date
    quantity: Decimal | None = Field(default=None, description="Units to close, whatever their sign")


class Closed(BaseModel):
    """The lot that is closed now: a new one, when a part was closed."""

    position_id: int


class ManualValuation(BaseModel):
    """What a private asset is worth per unit from a day on."""

    model_config = ConfigDict(extra="forbid")

    day: date
    price: Decimal = Field(ge=0, max_digits=18, decimal_places=6)


def _portfolio(account: Account) -> PortfolioOut:
    own = {name: getattr(account, name) for name in PortfolioOut.model_fields if hasattr(account, name)}
    snapshot = None if account.snapshot is None else valuation(account.snapshot)
    return PortfolioOut(**{**own, "snapshot": snapshot}, up_to_date=account.stale_since is None)


def _position(position: Position) -> PositionOut:
    held = position.held
    own = {name: getattr(held, name) for name in PositionOut.model_fields if hasattr(held, name)}
    return PositionOut(
        **own,
        state=position.state,
        data_status=position.data_status,
        reason=position.reason,
        price=position.price,
        value=position.value,
        unrealized_pnl=position.unrealized,
        realized_pnl=position.realized,
        suggestions=position.suggestions,
    )


def _next(items: list[Any], limit: int) -> int | None:
    return items[-1].id if len(items) == limit else None


@router.get("")
def list_portfolios(owner: Owner, database: Warehouse, after: After = 0, limit: Limit = PAGE) -> PortfolioPage:
    """List your portfolios, oldest first."""
    with database.transaction() as connection:
        items = [_portfolio(account) for account in rows.page(connection, owner, after, limit)]
    return PortfolioPage(items=items, next=_next(items, limit))


@router.get("/{portfolio_id}", responses=refusals(HTTPStatus.NOT_FOUND))
def get_portfolio(portfolio_id: int, owner: Owner, database: Warehouse) -> PortfolioOut:
    """Return a portfolio with its latest snapshot."""
    with database.transaction() as connection:
        return _portfolio(accounts.require(connection, owner, portfolio_id))


@router.patch(
    "/{portfolio_id}",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def change_portfolio(
    portfolio_id: int, change: PortfolioChange, owner: Owner, today: Today, database: Warehouse
) -> PortfolioOut:
    """Change a portfolio's name, account name or account type, by the rules of the upload."""
    with database.transaction() as connection:
        account = accounts.require(connection, owner, portfolio_id)
        form = _checked(account, change, today)
        changes = {"name": form.name, "account_name": form.account_name, "account_type": form.account_type}
        if not rows.rename(connection, owner, portfolio_id, changes):
            raise ConflictError("ERR_PORT_001", f"you have an account named {form.account_name} already")
        return _portfolio(accounts.require(connection, owner, portfolio_id))


def _checked(account: Account, change: PortfolioChange, today: date) -> PortfolioForm:
    given = change.model_fields_set
    return check_form(
        portfolio_name=change.name if "name" in given else account.name,
        account_name=change.account_name if "account_name" in given else account.account_name,
        account_type=change.account_type if "account_type" in given else account.account_type,
        equity_balance=str(account.equity_balance),
        inception_date=None,
        today=today,
    )


@router.delete("/{portfolio_id}", status_code=HTTPStatus.NO_CONTENT, responses=refusals(HTTPStatus.NOT_FOUND))
def delete_portfolio(portfolio_id: int, owner: Owner, database: Warehouse) -> None:
    """Delete a portfolio; its account's name can be used again."""
    with database.transaction() as connection:
        if not rows.delete(connection, owner, portfolio_id):
            raise NotFoundError(f"there is no portfolio {portfolio_id}")


@router.post("/{portfolio_id}/calculate", responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE))
def calculate(portfolio_id: int, owner: Owner, database: Warehouse, calendar: Calendar) -> PortfolioOut:
    """Write the portfolio's snapshots anew, now."""
    accounts.calculate(database, calendar, owner, portfolio_id)
    return get_portfolio(portfolio_id, owner, database)


@router.get("/{portfolio_id}/positions", responses=refusals(HTTPStatus.NOT_FOUND))
def list_positions(
    portfolio_id: int, owner: Owner, database: Warehouse, calendar: Calendar, after: After = 0, limit: Limit = PAGE
) -> PositionPage:
    """List a portfolio's positions with price, value and P&L, and what could be meant by an unknown ticker."""
    with database.transaction() as connection:
        account, found = accounts.list_positions(connection, calendar, owner, portfolio_id, after, limit)
    items = [_position(each) for each in found]
    snapshot = account.snapshot
    return PositionPage(
        as_of=snapshot and snapshot.session,
        coverage=None if snapshot is None else snapshot.coverage,
        items=items,
        next=_next(items, limit),
    )


CELLS = {
    "symbol": "Symbol",
    "quantity": "Quantity",
    "entry_price": "Entry Price Per Share",
    "entry_date": "Entry Date",
    "investment_class": "Investment Class",
    "investment_subtype": "Investment Subtype",
    "exit_date": "Exit Date",
    "exit_price": "Exit Price Per Share",
}
"""The columns of the uploaded file, by the names they have here."""


@router.patch(
    "/{portfolio_id}/positions/{position_id}",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
def change_position(own: Own, change: PositionChange, today: Today) -> PositionOut:
    """Change a position. Editing a ticker that nobody knows into another teaches the plant what was meant."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    own.edit({CELLS[name]: None if value is None else str(value) for name, value in given.items()}, today=today)
    return _position(own.view())


@router.delete(
    "/{portfolio_id}/positions/{position_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_position(own: Own) -> None:
    """Remove a position from the ledger, as if it had never been there."""
    own.remove()


@router.post(
    "/{portfolio_id}/positions/{position_id}/close",
    responses=refusals(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
def close_position(own: Own, closing: Closing, today: Today) -> Closed:
    """Close a position, or a part of it."""
    return Closed(position_id=own.close(closing.quantity, closing.exit_price, closing.exit_date, today=today))


@router.put(
    "/{portfolio_id}/positions/{position_id}/valuation",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def value_position(own: Own, given: ManualValuation) -> PositionOut:
    """Say what a private asset is worth."""
    own.value_by_hand(given.day, given.price)
    return _position(own.view())

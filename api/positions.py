"""Positions of a portfolio: list, edit, remove, close, value."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.context import Own, Portfolios, Today
from api.errors import refusals
from api.schemas import PAGE, After, Answer, Limit, next_key
from closingbell.accounts import OwnPosition
from closingbell.analytics.positions import DataStatus, PositionState

router = APIRouter(prefix="/api/v1/portfolios/{portfolio_id}/positions", tags=["portfolios"])


def named_position(portfolio_id: int, position_id: int, own: Own) -> OwnPosition:
    """Return the commands on the position that the path names."""
    return own.position(portfolio_id, position_id)


NamedPosition = Annotated[OwnPosition, Depends(named_position)]


class PositionOut(Answer):
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
    state: PositionState
    data_status: DataStatus
    reason: str | None = Field(description="Why there is no price")
    price: Decimal | None = Field(description="Per unit, in the units of `quantity`")
    value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    suggestions: list[str] = Field(description="Known tickers that may replace an unknown one")


class PositionPage(Answer):
    """Some positions, with the session and the coverage of the snapshot that values them."""

    as_of: date | None
    coverage: float | None
    items: list[PositionOut]
    next: int | None


class PositionChange(BaseModel):
    """What to change, by the rules of the uploaded file; omitted fields keep their values, null clears one."""

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
    """How a position was closed; without a quantity, all its units."""

    model_config = ConfigDict(extra="forbid")

    exit_price: Decimal = Field(ge=0)
    exit_date: date
    quantity: Decimal | None = Field(default=None, description="Units to close, of any sign")


class Closed(BaseModel):
    """The closed lot, which is a new one if some units stay open."""

    position_id: int


class ManualValuation(BaseModel):
    """The value of a private asset per unit, from a day on."""

    model_config = ConfigDict(extra="forbid")

    day: date
    price: Decimal = Field(ge=0, max_digits=18, decimal_places=6)


@router.get("", responses=refusals(HTTPStatus.NOT_FOUND))
def list_positions(portfolio_id: int, portfolios: Portfolios, after: After = 0, limit: Limit = PAGE) -> PositionPage:
    """List a portfolio's positions with price, value and P&L, and suggestions for unknown tickers."""
    page = portfolios.positions(portfolio_id, after, limit)
    items = [PositionOut.model_validate(position) for position in page.items]
    return PositionPage(as_of=page.as_of, coverage=page.coverage, items=items, next=next_key(items, limit))


@router.patch(
    "/{position_id}",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
def change_position(
    portfolio_id: int,
    position_id: int,
    change: PositionChange,
    position: NamedPosition,
    portfolios: Portfolios,
    today: Today,
) -> PositionOut:
    """Change a position. A correction of an unknown ticker counts towards an alias."""
    position.edit(change.model_dump(exclude_unset=True), today=today)
    return PositionOut.model_validate(portfolios.position(portfolio_id, position_id))


@router.delete(
    "/{position_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_position(position: NamedPosition) -> None:
    """Remove a position from the ledger, as if it had never been held."""
    position.remove()


@router.post(
    "/{position_id}/close",
    responses=refusals(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
def close_position(position: NamedPosition, closing: Closing, today: Today) -> Closed:
    """Close a position or some of its units."""
    return Closed(position_id=position.close(closing.quantity, closing.exit_price, closing.exit_date, today=today))


@router.put(
    "/{position_id}/valuation",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def value_position(
    portfolio_id: int, position_id: int, valuation: ManualValuation, position: NamedPosition, portfolios: Portfolios
) -> PositionOut:
    """Store the value of a private asset."""
    position.value_by_hand(valuation.day, valuation.price)
    return PositionOut.model_validate(portfolios.position(portfolio_id, position_id))

"""Portfolios: list, read, rename, delete, calculate."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.context import Own, Portfolios, Today
from api.errors import refusals
from api.schemas import PAGE, After, Answer, Limit, Valuation, next_key

router = APIRouter(prefix="/api/v1/portfolios", tags=["portfolios"])


class PortfolioOut(Answer):
    """A portfolio with its latest snapshot."""

    id: int
    name: str
    account_name: str
    account_type: str
    equity_balance: Decimal = Field(description="Equity at the close of the inception session")
    inception: date
    created_at: datetime
    positions: int
    up_to_date: bool = Field(description="The snapshot reflects the ledger and every known symbol")
    snapshot: Valuation | None


class PortfolioPage(Answer):
    """Some portfolios; `next` is the key after which the next page begins, null on the last page."""

    items: list[PortfolioOut]
    next: int | None


class PortfolioChange(BaseModel):
    """What to change; omitted fields keep their values."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    account_name: str | None = None
    account_type: str | None = None


@router.get("")
def list_portfolios(portfolios: Portfolios, after: After = 0, limit: Limit = PAGE) -> PortfolioPage:
    """List your portfolios, oldest first."""
    items = [PortfolioOut.model_validate(portfolio) for portfolio in portfolios.portfolios(after, limit)]
    return PortfolioPage(items=items, next=next_key(items, limit))


@router.get("/{portfolio_id}", responses=refusals(HTTPStatus.NOT_FOUND))
def get_portfolio(portfolio_id: int, portfolios: Portfolios) -> PortfolioOut:
    """Return a portfolio with its latest snapshot."""
    return PortfolioOut.model_validate(portfolios.portfolio(portfolio_id))


@router.patch(
    "/{portfolio_id}",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def change_portfolio(
    portfolio_id: int, change: PortfolioChange, own: Own, portfolios: Portfolios, today: Today
) -> PortfolioOut:
    """Change a portfolio's name, account name or account type, by the rules of the upload."""
    own.rename(portfolio_id, change.model_dump(exclude_unset=True), today=today)
    return PortfolioOut.model_validate(portfolios.portfolio(portfolio_id))


@router.delete("/{portfolio_id}", status_code=HTTPStatus.NO_CONTENT, responses=refusals(HTTPStatus.NOT_FOUND))
def delete_portfolio(portfolio_id: int, own: Own) -> None:
    """Delete a portfolio; its account's name can be used again."""
    own.delete(portfolio_id)


@router.post("/{portfolio_id}/calculate", responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE))
def calculate(portfolio_id: int, own: Own, portfolios: Portfolios) -> PortfolioOut:
    """Calculate the portfolio's snapshots again at once, without waiting for the nightly batch."""
    own.calculate(portfolio_id)
    return PortfolioOut.model_validate(portfolios.portfolio(portfolio_id))

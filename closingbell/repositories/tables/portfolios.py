"""Portfolios and what belongs to them: uploads, ledgers, and the tickers that users correct."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from closingbell.repositories.tables.base import MONEY, PRICE, QUANTITY, Table


class Portfolio(Table):
    """A user's portfolio: account, equity and inception of a ledger."""

    __tablename__ = "portfolios"
    __table_args__ = (
        # The name of a deleted portfolio's account may be used again.
        Index(
            "uq_portfolios_account", "owner", "account_name", unique=True, postgresql_where=text("deleted_at IS NULL")
        ),
        Index("ix_portfolios_stale_since", "stale_since", postgresql_where=text("stale_since IS NOT NULL")),
        CheckConstraint("equity_balance > 0", name="equity_balance"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    account_name: Mapped[str]
    account_type: Mapped[str]
    equity_balance: Mapped[Decimal] = mapped_column(MONEY, comment="Equity at the inception session")
    inception: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    stale_since: Mapped[datetime | None] = mapped_column(
        comment="Since when the snapshots lag behind the ledger or its symbols; NULL: they do not"
    )


class Upload(Table):
    """A file that a portfolio was created from; hash and idempotency key identify a repeated request."""

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_uploads_portfolio_id", "portfolio_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id"))
    owner: Mapped[str]
    sha256: Mapped[str]
    idempotency_key: Mapped[str | None]
    rows: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Position(Table):
    """One lot of a ledger. `symbol_id` is NULL for a private asset, which has no market price."""

    __tablename__ = "positions"
    __table_args__ = (
        CheckConstraint("quantity <> 0", name="quantity"),
        CheckConstraint("(exit_date is null) = (exit_price is null)", name="exit"),
        CheckConstraint("(investment_class = 'PRIVATE') = (symbol_id is null)", name="private"),
        CheckConstraint("investment_class in ('PUBLIC', 'OPTIONS', 'PRIVATE')", name="investment_class"),
        Index("ix_positions_portfolio_id", "portfolio_id"),
        Index("ix_positions_symbol_id", "symbol_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id"))
    symbol: Mapped[str]
    symbol_id: Mapped[int | None] = mapped_column(ForeignKey("symbol_universe.id"))
    investment_class: Mapped[str]
    investment_subtype: Mapped[str | None]
    position_type: Mapped[str] = mapped_column(comment="LONG, SHORT; for options LC, LP, SC, SP")
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, comment="Negative for a short")
    quantity_as_of: Mapped[date] = mapped_column(comment="Splits after this day change the quantity")
    entry_price: Mapped[Decimal] = mapped_column(PRICE)
    entry_date: Mapped[date]
    exit_price: Mapped[Decimal | None] = mapped_column(PRICE)
    exit_date: Mapped[date | None]
    deleted_at: Mapped[datetime | None]


class PositionValuation(Table):
    """Manual valuations of private assets, per unit."""

    __tablename__ = "position_valuations"

    position_id: Mapped[int] = mapped_column(ForeignKey("positions.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    price: Mapped[Decimal] = mapped_column(PRICE)


class EquityChange(Table):
    """Money that a user pays in or withdraws."""

    __tablename__ = "equity_changes"
    __table_args__ = (
        CheckConstraint("kind in ('contribution', 'withdrawal')", name="kind"),
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_equity_changes_portfolio_id", "portfolio_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id"))
    day: Mapped[date]
    kind: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(MONEY)


class SymbolCorrection(Table):
    """A user's edit of an unknown ticker into a known one."""

    __tablename__ = "symbol_corrections"
    __table_args__ = (UniqueConstraint("portfolio_id", "wrong"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id"))
    wrong: Mapped[str]
    meant: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SymbolAlias(Table):
    """A ticker that users write for another one, derived from their corrections."""

    __tablename__ = "symbol_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    portfolios: Mapped[int] = mapped_column(comment="How many agree on it")

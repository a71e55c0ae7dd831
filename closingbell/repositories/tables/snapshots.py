"""What the batch computes for portfolios: snapshots and factor exposures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from closingbell.repositories.tables.base import MONEY, Table


class PortfolioSnapshot(Table):
    """A portfolio at the close of a session, derived from its ledger and the prices. NAV = cash + long + short."""

    __tablename__ = "portfolio_snapshots"
    __table_args__ = (
        CheckConstraint("status in ('complete', 'partial')", name="status"),
        Index("ix_portfolio_snapshots_portfolio_id_session", "portfolio_id", "session"),
    )

    session: Mapped[date] = mapped_column(primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    nav: Mapped[Decimal] = mapped_column(MONEY)
    cash: Mapped[Decimal] = mapped_column(MONEY)
    long_value: Mapped[Decimal] = mapped_column(MONEY)
    short_value: Mapped[Decimal] = mapped_column(MONEY, comment="Zero or negative")
    gross: Mapped[Decimal] = mapped_column(MONEY)
    net: Mapped[Decimal] = mapped_column(MONEY)
    leverage: Mapped[float | None]
    daily_pnl: Mapped[Decimal] = mapped_column(MONEY)
    daily_return: Mapped[float | None]
    cumulative_return: Mapped[float | None]
    realized_pnl: Mapped[Decimal] = mapped_column(MONEY, comment="Of all lots closed since the inception")
    unrealized_pnl: Mapped[Decimal] = mapped_column(MONEY)
    flow: Mapped[Decimal] = mapped_column(MONEY)
    position_count: Mapped[int]
    long_count: Mapped[int]
    short_count: Mapped[int]
    hhi: Mapped[float | None]
    effective_positions: Mapped[float | None]
    top3_weight: Mapped[float | None]
    top10_weight: Mapped[float | None]
    sector_weights: Mapped[dict[str, Any]]
    market_beta: Mapped[float | None]
    coverage: Mapped[float]
    missing_symbols: Mapped[list[Any]]
    stale_symbols: Mapped[list[Any]]
    status: Mapped[str]


class FactorExposure(Table):
    """Exposure of a portfolio to a factor at the close of a session. Partitioned by year."""

    __tablename__ = "factor_exposures"
    __table_args__ = ({"postgresql_partition_by": "RANGE (session)"},)

    session: Mapped[date] = mapped_column(primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    factor_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    exposure_value: Mapped[float | None] = mapped_column(comment="exposure_dollar / NAV")
    exposure_dollar: Mapped[Decimal | None] = mapped_column(MONEY, comment="sum of value x beta")
    coverage: Mapped[float | None] = mapped_column(comment="Share of gross value with a beta")
    clipped: Mapped[int] = mapped_column(Integer, comment="Positions whose beta was clipped to +-5")


class PositionFactorExposure(Table):
    """Exposure of one position to a factor at the close of a session. Partitioned by year."""

    __tablename__ = "position_factor_exposures"
    __table_args__ = ({"postgresql_partition_by": "RANGE (session)"},)

    session: Mapped[date] = mapped_column(primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    factor_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    exposure_value: Mapped[float | None]
    exposure_dollar: Mapped[Decimal] = mapped_column(MONEY)

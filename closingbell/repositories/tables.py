"""The warehouse's tables.

Symbols, portfolios and positions carry surrogate keys, since the fact tables hold millions of rows of them. Those
fact tables have no foreign keys: a check per row would cost more than the row. Their rows are only ever written by
the repository of their asset, out of keys it has just read.

Money and quantities are NUMERIC, statistics double precision, and unknown is NULL. No fact carries the time at which
it was written: the same partition computed twice must leave the same rows.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

PRICE = Numeric(18, 6)
QUANTITY = Numeric(20, 6)
MONEY = Numeric(20, 2)
STATEMENT_LINE = Numeric(24, 4)

QUALITY_FLAGS = ("full_history", "limited_history", "insufficient_history", "proxy")
PARTITIONED_BY_YEAR = (
    "market_data_cache",
    "symbol_factor_exposures",
    "factor_exposures",
    "position_factor_exposures",
)


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        str: Text,
        float: Double,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class Symbol(Table):
    """Every stock, fund and option contract the plant knows; also the durable queue of those it is asked to learn."""

    __tablename__ = "symbol_universe"
    __table_args__ = (
        CheckConstraint("kind in ('equity', 'etf', 'option')", name="kind"),
        CheckConstraint("status in ('pending', 'processing', 'active', 'failed', 'inactive')", name="status"),
        CheckConstraint("(kind = 'option') = (underlying_id is not null)", name="underlying"),
        Index("ix_symbol_universe_status", "status"),
    )

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    symbol: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    underlying_id: Mapped[int | None] = mapped_column(ForeignKey("symbol_universe.id"))
    expiration: Mapped[date | None]
    strike: Mapped[Decimal | None] = mapped_column(PRICE)
    is_call: Mapped[bool | None]
    history_from: Mapped[date | None] = mapped_column(
        comment="The provider has answered for every session from this one to history_to"
    )
    history_to: Mapped[date | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None] = mapped_column(comment="When the request ended: active or failed")
    leased_by: Mapped[str | None] = mapped_column(comment="The run that works on the request")
    needed_from: Mapped[date | None] = mapped_column(comment="Portfolios need prices from this day on")
    followed_from: Mapped[date | None] = mapped_column(
        comment="The first session the batch has computed; NULL: every one it has"
    )


class MarketDataCache(Table):
    """Daily bars as traded, and the adjusted close that returns are taken from. Partitioned by year."""

    __tablename__ = "market_data_cache"
    __table_args__ = (
        Index("ix_market_data_cache_symbol_id_session", "symbol_id", "session"),
        {"postgresql_partition_by": "RANGE (session)"},
    )

    session: Mapped[date] = mapped_column(primary_key=True)
    symbol_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    open: Mapped[Decimal | None] = mapped_column(PRICE)
    high: Mapped[Decimal | None] = mapped_column(PRICE)
    low: Mapped[Decimal | None] = mapped_column(PRICE)
    close: Mapped[Decimal] = mapped_column(PRICE)
    volume: Mapped[int | None] = mapped_column(BigInteger)
    adj_close: Mapped[float | None] = mapped_column(comment="Derived from close and corporate_actions")
    source: Mapped[str]


class RefusedBar(Table):
    """Bars and actions a provider offered that cannot be true, with the reason; they explain a gap in the prices."""

    __tablename__ = "refused_bars"

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbol_universe.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    detail: Mapped[str]
    source: Mapped[str]


class CorporateAction(Table):
    """Splits (new shares per old share) and cash dividends (money per share)."""

    __tablename__ = "corporate_actions"
    __table_args__ = (CheckConstraint("kind in ('split', 'dividend')", name="kind"),)

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbol_universe.id"), primary_key=True)
    ex_date: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Decimal] = mapped_column(PRICE)
    source: Mapped[str]


class CompanyProfile(Table):
    """What was known of a company on a session; a later session without a row knows what the latest one says."""

    __tablename__ = "company_profiles"

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbol_universe.id"), primary_key=True)
    as_of: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str]
    sector: Mapped[str | None]
    industry: Mapped[str | None]
    country: Mapped[str | None]
    currency: Mapped[str | None]
    website: Mapped[str | None]
    employees: Mapped[int | None]
    beta: Mapped[float | None] = mapped_column(comment="The provider's own estimate")
    shares_outstanding: Mapped[int | None] = mapped_column(BigInteger)
    market_cap: Mapped[Decimal | None] = mapped_column(MONEY)
    pe_ratio: Mapped[float | None]
    next_earnings: Mapped[date | None]
    source: Mapped[str]


class _Statement:
    """One quarter's statement, by the session on which it became known to us."""

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbol_universe.id"), primary_key=True)
    period_end: Mapped[date] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    currency: Mapped[str]
    source: Mapped[str]


class IncomeStatement(_Statement, Table):
    """Quarterly income statements, in money but for the earnings per share."""

    __tablename__ = "income_statements"

    revenue: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    cost_of_revenue: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    gross_profit: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    operating_income: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    net_income: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    diluted_eps: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)


class BalanceSheet(_Statement, Table):
    """Quarterly balance sheets."""

    __tablename__ = "balance_sheets"

    cash: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    total_assets: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    total_debt: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    total_liabilities: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    total_equity: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)


class CashFlow(_Statement, Table):
    """Quarterly cash flow statements; what is spent is negative."""

    __tablename__ = "cash_flows"

    operating_cash_flow: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    capital_expenditure: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    free_cash_flow: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    dividends_paid: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)


class FactorDefinitionRow(Table):
    """The factors; seeded from `closingbell.calculations.factor_definitions` before anything is calculated."""

    __tablename__ = "factor_definitions"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    method: Mapped[str]
    regressors: Mapped[list[str]]
    window_sessions: Mapped[int | None] = mapped_column(SmallInteger)
    minimum_observations: Mapped[int | None] = mapped_column(SmallInteger)


class SymbolFactorExposure(Table):
    """One row per session, stock or fund, and factor; a NULL beta says that it cannot be known. By year."""

    __tablename__ = "symbol_factor_exposures"
    __table_args__ = ({"postgresql_partition_by": "RANGE (session)"},)

    session: Mapped[date] = mapped_column(primary_key=True)
    symbol_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    factor_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    beta: Mapped[float | None]
    std_error: Mapped[float | None]
    t_stat: Mapped[float | None]
    r_squared: Mapped[float | None]
    observations: Mapped[int | None] = mapped_column(SmallInteger)
    window_sessions: Mapped[int | None] = mapped_column(SmallInteger)
    quality_flag: Mapped[str] = mapped_column(Enum(*QUALITY_FLAGS, name="quality_flag"))


class SymbolDailyMetrics(Table):
    """Returns, risk and size of every stock and fund on every session."""

    __tablename__ = "symbol_daily_metrics"

    session: Mapped[date] = mapped_column(primary_key=True)
    symbol_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    price: Mapped[Decimal | None] = mapped_column(PRICE)
    return_1d: Mapped[float | None]
    return_mtd: Mapped[float | None]
    return_ytd: Mapped[float | None]
    return_1m: Mapped[float | None]
    return_3m: Mapped[float | None]
    return_1y: Mapped[float | None]
    volatility_21: Mapped[float | None]
    volatility_63: Mapped[float | None]
    high_52w: Mapped[float | None]
    low_52w: Mapped[float | None]
    average_dollar_volume_21: Mapped[float | None]
    max_drawdown_252: Mapped[float | None]
    observations: Mapped[int] = mapped_column(SmallInteger)
    market_cap: Mapped[Decimal | None] = mapped_column(MONEY)
    pe_ratio: Mapped[float | None]


class Portfolio(Table):
    """A user's portfolio: the head of a ledger."""

    __tablename__ = "portfolios"
    __table_args__ = (
        # A deleted portfolio gives its account's name free.
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
    """A file that a portfolio was made of; what makes a repeated request the same request."""

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
    """Money that a user pays in or takes out."""

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
    """Exposure of a portfolio to a factor at the close of a session. By year."""

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
    """Exposure of one position to a factor at the close of a session. By year."""

    __tablename__ = "position_factor_exposures"
    __table_args__ = ({"postgresql_partition_by": "RANGE (session)"},)

    session: Mapped[date] = mapped_column(primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    factor_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    exposure_value: Mapped[float | None]
    exposure_dollar: Mapped[Decimal] = mapped_column(MONEY)


class BatchRun(Table):
    """The story of each job type and session: its latest run, what it did and what it could not do."""

    __tablename__ = "batch_run_history"
    __table_args__ = (
        UniqueConstraint("job_type", "session"),
        CheckConstraint(
            "status in ('running', 'completed', 'completed_with_warnings', 'failed', 'canceled')", name="status"
        ),
        Index("ix_batch_run_history_run_id", "run_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_type: Mapped[str]
    session: Mapped[date]
    run_id: Mapped[str]
    trigger: Mapped[str]
    status: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    items_processed: Mapped[int] = mapped_column(server_default="0")
    items_failed: Mapped[int] = mapped_column(server_default="0")
    failed_items: Mapped[list[Any]] = mapped_column(server_default="[]")
    phases: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="Milliseconds per step")


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
    """A ticker that users write for another one, learnt from their corrections."""

    __tablename__ = "symbol_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    portfolios: Mapped[int] = mapped_column(comment="How many agree on it")


class ApiRequest(Table):
    """One answered request; kept for a while, then only its day's figures."""

    __tablename__ = "api_requests"
    __table_args__ = (Index("ix_api_requests_answered_at", "answered_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    answered_at: Mapped[datetime]
    route: Mapped[str]
    status: Mapped[int] = mapped_column(SmallInteger)
    duration_ms: Mapped[float]


class DailyMetric(Table):
    """A figure about the plant itself on one day (New York)."""

    __tablename__ = "daily_metrics"

    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]

"""Symbols and their facts: prices, companies, factor betas and metrics."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Identity, Index, Integer, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from closingbell.repositories.tables.base import MONEY, PRICE, QUALITY_FLAGS, STATEMENT_LINE, Table


class Symbol(Table):
    """Every stock, fund and option contract the plant knows; also the durable queue of those to be onboarded."""

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
    """Bars and actions of a provider that cannot be correct, with the reason; they explain gaps in the prices."""

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
    """A company's profile as known on a session; it holds until the next session that has a row."""

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
    """One quarter's statement; `as_of` is the session on which the plant first stored these figures."""

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbol_universe.id"), primary_key=True)
    period_end: Mapped[date] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    currency: Mapped[str]
    source: Mapped[str]


class IncomeStatement(_Statement, Table):
    """Quarterly income statements; amounts of money, except the earnings per share."""

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
    """Quarterly cash flow statements; outflows are negative."""

    __tablename__ = "cash_flows"

    operating_cash_flow: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    capital_expenditure: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    free_cash_flow: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)
    dividends_paid: Mapped[Decimal | None] = mapped_column(STATEMENT_LINE)


class FactorDefinitionRow(Table):
    """The factors, seeded from `closingbell.calculations.factor_definitions` before the first calculation."""

    __tablename__ = "factor_definitions"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    method: Mapped[str]
    regressors: Mapped[list[str]]
    window_sessions: Mapped[int | None] = mapped_column(SmallInteger)
    minimum_observations: Mapped[int | None] = mapped_column(SmallInteger)


class SymbolFactorExposure(Table):
    """One row per session, stock or fund, and factor; beta is NULL where it is unknown. Partitioned by year."""

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

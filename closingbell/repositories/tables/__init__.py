"""The warehouse's tables.

Symbols, portfolios and positions have surrogate keys, which keeps the fact tables with their millions of rows small.
The fact tables have no foreign keys: checking one costs more than writing the row. Only the repository of an asset
writes its fact table, with keys that it has just read.

Money and quantities are NUMERIC, statistics double precision, and unknown is NULL. No fact stores the time at which
it was written, so that computing a partition twice leaves the same rows.
"""

from closingbell.repositories.tables.base import QUALITY_FLAGS, Table
from closingbell.repositories.tables.operations import ApiRequest, BatchRun, DailyMetric
from closingbell.repositories.tables.portfolios import (
    EquityChange,
    Portfolio,
    Position,
    PositionValuation,
    SymbolAlias,
    SymbolCorrection,
    Upload,
)
from closingbell.repositories.tables.snapshots import FactorExposure, PortfolioSnapshot, PositionFactorExposure
from closingbell.repositories.tables.symbols import (
    BalanceSheet,
    CashFlow,
    CompanyProfile,
    CorporateAction,
    FactorDefinitionRow,
    IncomeStatement,
    MarketDataCache,
    RefusedBar,
    Symbol,
    SymbolDailyMetrics,
    SymbolFactorExposure,
)

__all__ = [
    "PARTITIONED_BY_YEAR",
    "QUALITY_FLAGS",
    "ApiRequest",
    "BalanceSheet",
    "BatchRun",
    "CashFlow",
    "CompanyProfile",
    "CorporateAction",
    "DailyMetric",
    "EquityChange",
    "FactorDefinitionRow",
    "FactorExposure",
    "IncomeStatement",
    "MarketDataCache",
    "Portfolio",
    "PortfolioSnapshot",
    "Position",
    "PositionFactorExposure",
    "PositionValuation",
    "RefusedBar",
    "Symbol",
    "SymbolAlias",
    "SymbolCorrection",
    "SymbolDailyMetrics",
    "SymbolFactorExposure",
    "Table",
    "Upload",
]

PARTITIONED_BY_YEAR = tuple(
    table.name for table in Table.metadata.sorted_tables if table.dialect_options["postgresql"]["partition_by"]
)
"""The fact tables whose rows are stored in yearly partitions."""

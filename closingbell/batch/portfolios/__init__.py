"""Portfolios: valued from their ledgers and the stored prices, with the factor exposures that follow."""

from closingbell.batch.portfolios.exposures import compute_exposures, write_exposures
from closingbell.batch.portfolios.positions import PositionValue, value_positions
from closingbell.batch.portfolios.prerequisites import require_factors
from closingbell.batch.portfolios.snapshots import compute_snapshots, write_snapshots
from closingbell.batch.portfolios.valuation import ValuedPortfolios, first_price_day, value_ledgers

__all__ = [
    "PositionValue",
    "ValuedPortfolios",
    "compute_exposures",
    "compute_snapshots",
    "first_price_day",
    "require_factors",
    "value_ledgers",
    "value_positions",
    "write_exposures",
    "write_snapshots",
]

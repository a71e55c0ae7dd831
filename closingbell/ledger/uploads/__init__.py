"""Uploaded portfolios: what a form and a CSV file may say, and what they mean. Pure functions of their input."""

from closingbell.ledger.uploads.cells import canonical_symbol
from closingbell.ledger.uploads.errors import Code, Detail, RejectedError
from closingbell.ledger.uploads.file import MAX_BYTES, MAX_ROWS, TEMPLATE, read_positions
from closingbell.ledger.uploads.form import ACCOUNT_TYPES, PortfolioForm, check_form
from closingbell.ledger.uploads.positions import COLUMNS, read_position

__all__ = [
    "ACCOUNT_TYPES",
    "COLUMNS",
    "MAX_BYTES",
    "MAX_ROWS",
    "TEMPLATE",
    "Code",
    "Detail",
    "PortfolioForm",
    "RejectedError",
    "canonical_symbol",
    "check_form",
    "read_position",
    "read_positions",
]

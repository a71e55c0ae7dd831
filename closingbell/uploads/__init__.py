"""Uploaded portfolios: what a form and a CSV file may say, and what they mean. Pure functions of their input."""

from closingbell.uploads.cells import canonical_symbol
from closingbell.uploads.errors import Code, Detail, RejectedError
from closingbell.uploads.file import MAX_BYTES, MAX_ROWS, TEMPLATE, read_positions
from closingbell.uploads.form import ACCOUNT_TYPES, PortfolioForm, check_form
from closingbell.uploads.positions import COLUMNS, read_position

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

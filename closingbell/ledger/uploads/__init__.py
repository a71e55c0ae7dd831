"""Uploads of portfolios: forms and CSV files become positions, or are rejected with codes. Pure functions."""

from closingbell.ledger.uploads.cells import canonical_symbol
from closingbell.ledger.uploads.columns import COLUMN_OF_FIELD, COLUMNS, FIELD_OF_COLUMN
from closingbell.ledger.uploads.errors import Code, Detail, RejectedError
from closingbell.ledger.uploads.file import MAX_ROWS, TEMPLATE, read_positions
from closingbell.ledger.uploads.form import ACCOUNT_TYPES, PortfolioForm, check_form
from closingbell.ledger.uploads.positions import read_position
from closingbell.ledger.uploads.records import MAX_BYTES

__all__ = [
    "ACCOUNT_TYPES",
    "COLUMNS",
    "COLUMN_OF_FIELD",
    "FIELD_OF_COLUMN",
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

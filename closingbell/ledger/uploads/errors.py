"""Why an upload is rejected: one code per rule, and the place of every bad cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from closingbell.errors import ClosingBellError

MAX_SHOWN = 64
"""Characters of a bad value that are shown."""

MAX_DETAILS = 1_000


class Code(StrEnum):
    """What can be wrong with an upload."""

    def __new__(cls, code: str, meaning: str) -> Self:
        """Store the meaning with the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    meaning: str

    FILE_TOO_LARGE = ("ERR_CSV_001", "the file is too large")
    NOT_A_CSV = ("ERR_CSV_002", "the file is not a CSV")
    EMPTY = ("ERR_CSV_003", "the file is empty")
    COLUMN_MISSING = ("ERR_CSV_004", "a column is missing")
    BAD_HEADER = ("ERR_CSV_005", "the header is wrong")
    MALFORMED = ("ERR_CSV_006", "the file is malformed")
    SYMBOL_MISSING = ("ERR_POS_001", "the symbol is missing")
    SYMBOL_TOO_LONG = ("ERR_POS_002", "the symbol is too long")
    SYMBOL_CHARACTERS = ("ERR_POS_003", "the symbol contains characters that are not allowed")
    QUANTITY_MISSING = ("ERR_POS_004", "the quantity is missing")
    QUANTITY_NOT_A_NUMBER = ("ERR_POS_005", "the quantity is not a number")
    QUANTITY_ZERO = ("ERR_POS_006", "the quantity is zero")
    QUANTITY_DECIMALS = ("ERR_POS_007", "the quantity has too many decimals")
    PRICE_MISSING = ("ERR_POS_008", "the entry price is missing")
    PRICE_NOT_A_NUMBER = ("ERR_POS_009", "the entry price is not a number")
    PRICE_NOT_POSITIVE = ("ERR_POS_010", "the entry price is not positive")
    PRICE_DECIMALS = ("ERR_POS_011", "the entry price has too many decimals")
    DATE_MISSING = ("ERR_POS_012", "the date is missing")
    DATE_FORMAT = ("ERR_POS_013", "the date does not have the form YYYY-MM-DD")
    DATE_FUTURE = ("ERR_POS_014", "the date is in the future")
    DATE_TOO_OLD = ("ERR_POS_015", "the date is too old")
    CLASS = ("ERR_POS_016", "the investment class is unknown or contradicts the symbol")
    SUBTYPE = ("ERR_POS_017", "the investment subtype does not belong to the class")
    EXIT_BEFORE_ENTRY = ("ERR_POS_018", "the exit date is before the entry date")
    UNDERLYING_MISSING = ("ERR_POS_019", "the option's underlying is missing or wrong")
    STRIKE_MISSING = ("ERR_POS_020", "the option's strike is missing or wrong")
    EXPIRATION_MISSING = ("ERR_POS_021", "the option's expiration is missing or wrong")
    OPTION_TYPE_MISSING = ("ERR_POS_022", "the option's type is missing or wrong")
    EXIT_PRICE = ("ERR_POS_024", "the exit price is missing or wrong")
    ACCOUNT_EXISTS = ("ERR_PORT_001", "the account name is already in use")
    NAME_MISSING = ("ERR_PORT_002", "the portfolio name is missing")
    NAME_TOO_LONG = ("ERR_PORT_003", "the portfolio name is too long")
    EQUITY_MISSING = ("ERR_PORT_004", "the equity balance is missing")
    EQUITY_NOT_POSITIVE = ("ERR_PORT_005", "the equity balance is not a positive amount of money")
    EQUITY_TOO_LARGE = ("ERR_PORT_006", "the equity balance is too large")
    FILE_MISSING = ("ERR_PORT_007", "the file is missing")
    FILE_INVALID = ("ERR_PORT_008", "the file has invalid rows")
    ACCOUNT_TYPE = ("ERR_PORT_009", "the account type is unknown")
    ACCOUNT_TOO_LONG = ("ERR_PORT_010", "the account name is too long")
    ACCOUNT_MISSING = ("ERR_PORT_011", "the account name is missing")


@dataclass(frozen=True)
class Detail:
    """One error of an upload.

    Parameters
    ----------
    row : int or None
        Line of the file on which the row begins, counted from 1; None for a form.
    column : str or None
        Column of the file or field of the form.
    code : Code
    message : str
    value : str or None
        The bad value, shortened.
    """

    row: int | None
    column: str | None
    code: Code
    message: str
    value: str | None = None


class RejectedError(ClosingBellError):
    """An upload with errors; it is rejected, and nothing of it is stored.

    Parameters
    ----------
    code : Code
    message : str
    details : sequence of Detail
    """

    def __init__(self, code: Code, message: str = "", details: Sequence[Detail] = ()) -> None:
        super().__init__(message or code.meaning)
        self.code = code
        self.details = tuple(details[:MAX_DETAILS])


def shortened(value: str) -> str:
    """Return a value of at most `MAX_SHOWN` characters; an ellipsis replaces the rest."""
    return value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…"

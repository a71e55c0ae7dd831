"""Cells of a row and fields of a form: text becomes symbols, numbers and dates, or an error with a code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Literal, Self, TypeVar

from closingbell.ledger.uploads.errors import Code, Detail, RejectedError, shortened

MAX_SYMBOL = 32
MAX_AGE_YEARS = 100
MAX_AMOUNT = Decimal(10) ** 12
"""Largest equity of a portfolio and largest cost of a lot. Later gains still fit into 64-bit integer cents."""

# No leading sign or equals sign: a spreadsheet would execute such a cell as a formula.
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-_^=]*")
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.\-]([A-E])")
_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?)0*([0-9]+))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Rounds nothing. The default context rounds to 28 digits and would drop decimals before they are counted."""

_HUGE_EXPONENT = "999999"
"""Replaces longer exponents, which `Decimal` may not hold. No cell has enough digits to compensate for it."""

T = TypeVar("T")


class BadCell(Exception):  # noqa: N818 - reads better without the suffix
    """A cell that breaks a rule."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(message or code.meaning)
        self.code = code


class CellReader:
    """Reads the cells of a row, or the fields of a form, and collects everything that is wrong with them.

    Parameters
    ----------
    cells : mapping of str to str or None
        By column.
    line : int or None
        Line of the file on which the row begins; None for a form.
    """

    def __init__(self, cells: Mapping[str, str | None], line: int | None) -> None:
        self._cells = cells
        self._line = line
        self.details: list[Detail] = []

    def text(self, column: str) -> str:
        """Return a cell without the spaces around it; a missing cell is empty."""
        return (self._cells.get(column) or "").strip()

    def read(self, column: str, convert: Callable[[str], T]) -> T | None:
        """Return the value of a cell; if `convert` raises `BadCell`, collect the error and return None."""
        try:
            return convert(self.text(column))
        except BadCell as bad:
            self.reject(column, bad.code, str(bad))
            return None

    def reject(self, column: str, code: Code, message: str) -> None:
        """Collect an error of a cell."""
        self.details.append(Detail(self._line, column, code, message, shortened(self.text(column)) or None))

    def rejection(self) -> RejectedError:
        """Return the error that contains all details; its code is that of the first."""
        message = "; ".join(detail.message for detail in self.details)
        return RejectedError(self.details[0].code, message, self.details)


@dataclass(frozen=True)
class NumberRule:
    """What a number must fulfil, and the error for each rule that it breaks.

    Parameters
    ----------
    missing, not_a_number, wrong_sign, too_large, decimals : Code
        The errors.
    places : int
        Largest number of decimals; trailing zeros do not count.
    largest : Decimal
        Largest magnitude.
    sign : {"nonzero", "positive", "nonnegative"}
    """

    missing: Code
    not_a_number: Code
    wrong_sign: Code
    too_large: Code
    decimals: Code
    places: int
    largest: Decimal
    sign: Literal["nonzero", "positive", "nonnegative"]

    @classmethod
    def with_one_code(
        cls, code: Code, *, places: int, largest: Decimal, sign: Literal["nonzero", "positive", "nonnegative"]
    ) -> Self:
        """Return a rule whose errors all have the same code."""
        return cls(code, code, code, code, code, places, largest, sign)

    def allows_sign_of(self, number: Decimal) -> bool:
        """Return whether the rule allows the number's sign; zero counts as a sign of its own."""
        if not number:
            return self.sign == "nonnegative"
        return number > 0 or self.sign == "nonzero"


def canonical_symbol(text: str) -> str:
    """Return a ticker in its canonical spelling: capitals, and a share class after a dash.

    ``BRK.B`` becomes ``BRK-B``. Only the classes A to E after a root of letters are changed: the suffix of ``VOD.L``
    names an exchange.
    """
    symbol = text.strip()
    if symbol.isascii():
        # `upper` would turn some other letters into ASCII ones, for example the long s into an S.
        symbol = symbol.upper()
    match = _SHARE_CLASS.fullmatch(symbol)
    return f"{match[1]}-{match[2]}" if match else symbol


def read_symbol(text: str) -> str:
    """Return the canonical spelling of a ticker or of a private asset's name."""
    symbol = canonical_symbol(text)
    if not symbol:
        raise BadCell(Code.SYMBOL_MISSING)
    if len(symbol) > MAX_SYMBOL:
        raise BadCell(Code.SYMBOL_TOO_LONG, f"a symbol has at most {MAX_SYMBOL} characters")
    if not _SYMBOL.fullmatch(symbol):
        raise BadCell(
            Code.SYMBOL_CHARACTERS,
            "a symbol consists of letters, digits and . - _ ^ =, and begins with a letter, a digit or ^",
        )
    return symbol


def read_number(text: str, rule: NumberRule) -> Decimal:
    """Return an exact decimal number, without trailing zeros after the point."""
    if not text:
        raise BadCell(rule.missing)
    number = _decimal(text, rule)
    if not rule.allows_sign_of(number):
        raise BadCell(rule.wrong_sign)
    # Checked before `quantize`, which writes out every digit: a large exponent stands for any number of them.
    if number.copy_abs() > rule.largest:
        raise BadCell(rule.too_large, f"the number is too large: at most {rule.largest:,f}")
    reduced = number.normalize(_EXACT)
    exponent = reduced.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > rule.places:
        raise BadCell(rule.decimals, f"at most {rule.places} decimals")
    return reduced if exponent <= 0 else reduced.quantize(Decimal(1))


def _decimal(text: str, rule: NumberRule) -> Decimal:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadCell(rule.not_a_number, f"{rule.not_a_number.meaning}: write it like 1234.56, without separators")
    digits, sign, exponent = match.groups()
    if exponent is None:
        return Decimal(text)
    return Decimal(f"{digits}e{sign}{exponent if len(exponent) <= len(_HUGE_EXPONENT) else _HUGE_EXPONENT}")


def read_date(
    text: str,
    *,
    today: date | None = None,
    max_years: int | None = None,
    missing: Code = Code.DATE_MISSING,
    malformed: Code = Code.DATE_FORMAT,
) -> date:
    """Return a date.

    Parameters
    ----------
    text : str
        In the form YYYY-MM-DD.
    today : date or None
        The latest date that is allowed; None: any.
    max_years : int or None
        Largest number of years before `today`; None: any.
    missing, malformed : Code
        The errors of an empty cell and of text that is not a date.
    """
    if not text:
        raise BadCell(missing)
    if not _DATE.fullmatch(text):
        raise BadCell(malformed)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadCell(malformed, "the date does not exist") from error
    if today is None:
        return day
    if day > today:
        raise BadCell(Code.DATE_FUTURE)
    if max_years is not None and (day.year + max_years, day.month, day.day) < (today.year, today.month, today.day):
        raise BadCell(Code.DATE_TOO_OLD, f"the date is more than {max_years} years ago")
    return day

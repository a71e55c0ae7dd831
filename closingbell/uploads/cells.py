"""What the cells of a row may say. Each function takes text and returns a value, or raises `BadCell`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from closingbell.uploads.errors import Code

MAX_SYMBOL = 32
MAX_AGE_YEARS = 100

# No leading sign or equals sign: such a cell is a formula to a spreadsheet.
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-_^=]*")
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.\-]([A-E])")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

MAX_DIGITS = 64
"""A number written longer than this is no quantity and no price."""


class BadCell(Exception):  # noqa: N818 - it says what it is
    """A cell that breaks a rule."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(message or code.meaning)
        self.code = code


@dataclass(frozen=True)
class NumberRule:
    """What a number must be like.

    Parameters
    ----------
    missing, not_a_number, sign, decimals : Code
        What to answer when it is not.
    places : int
        Decimals at most; trailing zeros do not count.
    below : Decimal
        Its magnitude is smaller than this: what the column holds.
    minimum : {"nonzero", "positive", "zero"}
    """

    missing: Code
    not_a_number: Code
    sign: Code
    decimals: Code
    places: int
    below: Decimal
    minimum: str


def canonical_symbol(text: str) -> str:
    """Return the one spelling of a ticker: capitals, and a share class after a dash (``BRK.B`` is ``BRK-B``).

    Only a class from A to E of a root of letters is meant: ``VOD.L`` names an exchange, and stays.
    """
    symbol = text.strip().upper()
    found = _SHARE_CLASS.fullmatch(symbol)
    return f"{found[1]}-{found[2]}" if found else symbol


def read_symbol(text: str, missing: Code = Code.SYMBOL_MISSING) -> str:
    """Return a ticker, or the name of a private asset, in its one spelling."""
    if not text.isascii():  # before it becomes capitals: those of some other letters are ours
        raise BadCell(Code.SYMBOL_CHARACTERS)
    symbol = canonical_symbol(text)
    if not symbol:
        raise BadCell(missing)
    if len(symbol) > MAX_SYMBOL:
        raise BadCell(Code.SYMBOL_TOO_LONG, f"a symbol has at most {MAX_SYMBOL} characters")
    if not _SYMBOL.fullmatch(symbol):
        raise BadCell(
            Code.SYMBOL_CHARACTERS, "a symbol has letters, digits and . - _ ^ =, and begins with a letter, a digit or ^"
        )
    return symbol


def read_number(text: str, rule: NumberRule) -> Decimal:
    """Return an exact decimal number."""
    if not text:
        raise BadCell(rule.missing)
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        raise BadCell(rule.not_a_number, f"{rule.not_a_number.meaning}: write it like 1234.56, without separators")
    number = Decimal(text)
    if not number:
        number = Decimal(0)
    # Looked at before anything is expanded: an exponent can stand for a number of any size.
    if number.adjusted() > rule.below.adjusted() or abs(number) >= rule.below:
        raise BadCell(rule.not_a_number, f"the number is too large: {rule.below:f} is out of range")
    if rule.minimum == "nonzero" and not number:
        raise BadCell(rule.sign)
    if (rule.minimum == "positive" and number <= 0) or (rule.minimum == "zero" and number < 0):
        raise BadCell(rule.sign)
    if _places(number) > rule.places:
        raise BadCell(rule.decimals, f"at most {rule.places} decimals")
    return number


def _places(number: Decimal) -> int:
    """Return how many decimals a number has, trailing zeros aside. `Decimal.normalize` would round to 28 digits."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - the number is finite
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - zeros)


def read_date(text: str, today: date, missing: Code = Code.DATE_MISSING) -> date:
    """Return a day up to today, not more than a hundred years ago."""
    day = read_any_date(text, missing, Code.DATE_FORMAT)
    if day > today:
        raise BadCell(Code.DATE_FUTURE)
    if (day.year + MAX_AGE_YEARS, day.month, day.day) < (today.year, today.month, today.day):
        raise BadCell(Code.DATE_TOO_OLD, f"the date lies more than {MAX_AGE_YEARS} years back")
    return day


def read_any_date(text: str, missing: Code, malformed: Code) -> date:
    """Return a day."""
    if not text:
        raise BadCell(missing)
    if not _DATE.fullmatch(text):
        raise BadCell(malformed)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadCell(malformed, "there is no such day") from error

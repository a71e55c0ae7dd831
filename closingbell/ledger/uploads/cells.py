"""What the cells of a row may say. Each function takes text and returns a value, or raises `BadCell`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

from closingbell.ledger.uploads.errors import Code

MAX_SYMBOL = 32
MAX_AGE_YEARS = 100

# No leading sign or equals sign: such a cell is a formula to a spreadsheet.
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-_^=]*")
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.\-]([A-E])")
_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?)0*([0-9]+))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Rounds nothing. The usual context rounds to 28 digits, and would lose the decimals that are to be counted."""

_HUGE_EXPONENT = "999999"
"""Stands for all longer ones, which `Decimal` may not hold. No cell has as many digits to make up for it."""


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
    missing, not_a_number, sign, too_large, decimals : Code
        What to answer when it is not.
    places : int
        Decimals at most; trailing zeros do not count.
    largest : Decimal
        Its magnitude at most.
    minimum : {"nonzero", "positive", "zero"}
    """

    missing: Code
    not_a_number: Code
    sign: Code
    too_large: Code
    decimals: Code
    places: int
    largest: Decimal
    minimum: str


def canonical_symbol(text: str) -> str:
    """Return the one spelling of a ticker: capitals, and a share class after a dash (``BRK.B`` is ``BRK-B``).

    Only a class from A to E of a root of letters is meant: ``VOD.L`` names an exchange, and stays.
    """
    symbol = text.strip()
    if symbol.isascii():
        # Letters of other alphabets have capitals in ours: the long s an S, the sharp s two of them.
        symbol = symbol.upper()
    found = _SHARE_CLASS.fullmatch(symbol)
    return f"{found[1]}-{found[2]}" if found else symbol


def read_symbol(text: str) -> str:
    """Return a ticker, or the name of a private asset, in its one spelling."""
    symbol = canonical_symbol(text)
    if not symbol:
        raise BadCell(Code.SYMBOL_MISSING)
    if len(symbol) > MAX_SYMBOL:
        raise BadCell(Code.SYMBOL_TOO_LONG, f"a symbol has at most {MAX_SYMBOL} characters")
    if not _SYMBOL.fullmatch(symbol):
        raise BadCell(
            Code.SYMBOL_CHARACTERS, "a symbol has letters, digits and . - _ ^ =, and begins with a letter, a digit or ^"
        )
    return symbol


def read_number(text: str, rule: NumberRule) -> Decimal:
    """Return an exact decimal number, without trailing zeros after the point."""
    if not text:
        raise BadCell(rule.missing)
    number = _decimal(text, rule)
    if _has_wrong_sign(number, rule.minimum):
        raise BadCell(rule.sign)
    # Compared before anything is expanded: an exponent can stand for a number of any size.
    if number.copy_abs() > rule.largest:
        raise BadCell(rule.too_large, f"the number is too large: at most {rule.largest:,f}")
    reduced = number.normalize(_EXACT)
    exponent = reduced.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > rule.places:
        raise BadCell(rule.decimals, f"at most {rule.places} decimals")
    return reduced if exponent <= 0 else reduced.quantize(Decimal(1))


def _decimal(text: str, rule: NumberRule) -> Decimal:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise BadCell(rule.not_a_number, f"{rule.not_a_number.meaning}: write it like 1234.56, without separators")
    digits, sign, exponent = found.groups()
    if exponent is None:
        return Decimal(text)
    return Decimal(f"{digits}e{sign}{exponent if len(exponent) <= len(_HUGE_EXPONENT) else _HUGE_EXPONENT}")


def _has_wrong_sign(number: Decimal, minimum: str) -> bool:
    return number < 0 if minimum == "zero" else not number or (minimum == "positive" and number < 0)


def read_date(text: str, today: date) -> date:
    """Return a day up to today, not more than a hundred years ago."""
    day = read_past_date(text, today)
    if (day.year + MAX_AGE_YEARS, day.month, day.day) < (today.year, today.month, today.day):
        raise BadCell(Code.DATE_TOO_OLD, f"the date lies more than {MAX_AGE_YEARS} years back")
    return day


def read_past_date(text: str, today: date) -> date:
    """Return a day up to today."""
    day = read_any_date(text, Code.DATE_MISSING, Code.DATE_FORMAT)
    if day > today:
        raise BadCell(Code.DATE_FUTURE)
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

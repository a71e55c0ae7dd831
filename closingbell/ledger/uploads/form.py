"""The fields beside the file."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from closingbell.ledger.uploads.cells import BadCell, NumberRule, read_date, read_number
from closingbell.ledger.uploads.errors import Code, Detail, RejectedError, cut

ACCOUNT_TYPES = ("taxable", "ira", "roth_ira", "401k", "403b", "529", "hsa", "trust", "other")
MAX_NAME, MAX_ACCOUNT = 255, 100
MAX_EQUITY = Decimal(10) ** 12

_EQUITY = NumberRule(
    missing=Code.EQUITY_MISSING,
    not_a_number=Code.EQUITY_NOT_POSITIVE,
    sign=Code.EQUITY_NOT_POSITIVE,
    too_large=Code.EQUITY_TOO_LARGE,
    decimals=Code.EQUITY_NOT_POSITIVE,
    places=2,
    largest=MAX_EQUITY,
    minimum="positive",
)

_UNWRITABLE = {"Cc", "Cs"}
"""Control characters and halves of characters. Not the joiners, without which Persian and many emoji are not spelt."""

T = TypeVar("T")


@dataclass(frozen=True)
class PortfolioForm:
    """What a portfolio is called, and what it starts with.

    Parameters
    ----------
    name, account_name, account_type : str
    equity : Decimal
        Money at the close of the inception session.
    inception : date or None
        None: the newest session that has been computed.
    """

    name: str
    account_name: str
    account_type: str
    equity: Decimal
    inception: date | None


def check_form(
    *,
    portfolio_name: str | None,
    account_name: str | None,
    account_type: str | None,
    equity_balance: str | None,
    inception_date: str | None,
    today: date,
) -> PortfolioForm:
    """Check the fields of the upload form.

    Raises
    ------
    RejectedError
        With every field that is wrong; its code is the first one's.
    """
    details: list[Detail] = []

    def checked(column: str, value: str | None, read: Callable[[str], T]) -> T | None:
        text = (value or "").strip()
        try:
            return read(text)
        except BadCell as bad:
            details.append(Detail(None, column, bad.code, str(bad), cut(text) or None))
            return None

    name = checked("portfolio_name", portfolio_name, _text(MAX_NAME, Code.NAME_MISSING, Code.NAME_TOO_LONG))
    account = checked("account_name", account_name, _text(MAX_ACCOUNT, Code.ACCOUNT_MISSING, Code.ACCOUNT_TOO_LONG))
    kind = checked("account_type", account_type, _account_type)
    equity = checked("equity_balance", equity_balance, lambda text: read_number(text, _EQUITY))
    inception = checked("inception_date", inception_date, lambda text: read_date(text, today) if text else None)
    if details or name is None or account is None or kind is None or equity is None:
        raise RejectedError(details[0].code, "; ".join(detail.message for detail in details), details)
    return PortfolioForm(name, account, kind, equity, inception)


def _text(most: int, missing: Code, too_long: Code) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text:
            raise BadCell(missing)
        if any(unicodedata.category(character) in _UNWRITABLE for character in text):
            raise BadCell(missing, "a name has no control characters")
        if len(text) > most:
            raise BadCell(too_long, f"a name has at most {most} characters")
        return text

    return read


def _account_type(text: str) -> str:
    kind = text.lower()
    if kind not in ACCOUNT_TYPES:
        raise BadCell(Code.ACCOUNT_TYPE, f"the account type is one of {', '.join(ACCOUNT_TYPES)}")
    return kind

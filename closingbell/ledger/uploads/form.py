"""The fields of the upload form."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from closingbell.ledger.uploads.cells import (
    MAX_AGE_YEARS,
    MAX_AMOUNT,
    BadCell,
    CellReader,
    NumberRule,
    read_date,
    read_number,
)
from closingbell.ledger.uploads.errors import Code

ACCOUNT_TYPES = ("taxable", "ira", "roth_ira", "401k", "403b", "529", "hsa", "trust", "other")
MAX_NAME, MAX_ACCOUNT = 255, 100

_EQUITY = NumberRule(
    missing=Code.EQUITY_MISSING,
    not_a_number=Code.EQUITY_NOT_POSITIVE,
    wrong_sign=Code.EQUITY_NOT_POSITIVE,
    too_large=Code.EQUITY_TOO_LARGE,
    decimals=Code.EQUITY_NOT_POSITIVE,
    places=2,
    largest=MAX_AMOUNT,
    sign="positive",
)

_FORBIDDEN_CATEGORIES = {"Cc", "Cs"}
"""Control characters and surrogates. Joiners are allowed, since Persian and many emoji need them."""


@dataclass(frozen=True)
class PortfolioForm:
    """The checked fields of a new portfolio.

    Parameters
    ----------
    name, account_name, account_type : str
    equity : Decimal
        Money at the close of the inception session.
    inception : date or None
        None: the newest computed session.
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
        If fields are wrong; the details name all of them, and the code is that of the first.
    """
    fields = CellReader(
        {
            "portfolio_name": portfolio_name,
            "account_name": account_name,
            "account_type": account_type,
            "equity_balance": equity_balance,
            "inception_date": inception_date,
        },
        None,
    )
    name = fields.read("portfolio_name", _name_rule(MAX_NAME, Code.NAME_MISSING, Code.NAME_TOO_LONG))
    account = fields.read("account_name", _name_rule(MAX_ACCOUNT, Code.ACCOUNT_MISSING, Code.ACCOUNT_TOO_LONG))
    kind = fields.read("account_type", _read_account_type)
    equity = fields.read("equity_balance", lambda text: read_number(text, _EQUITY))
    inception = fields.read("inception_date", lambda text: _read_inception(text, today))
    if fields.details or name is None or account is None or kind is None or equity is None:
        raise fields.rejection()
    return PortfolioForm(name, account, kind, equity, inception)


def _name_rule(most: int, missing: Code, too_long: Code) -> Callable[[str], str]:
    def read_name(text: str) -> str:
        if not text:
            raise BadCell(missing)
        if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in text):
            raise BadCell(missing, "a name must not contain control characters")
        if len(text) > most:
            raise BadCell(too_long, f"a name has at most {most} characters")
        return text

    return read_name


def _read_account_type(text: str) -> str:
    kind = text.lower()
    if kind not in ACCOUNT_TYPES:
        raise BadCell(Code.ACCOUNT_TYPE, f"the account type is one of {', '.join(ACCOUNT_TYPES)}")
    return kind


def _read_inception(text: str, today: date) -> date | None:
    return read_date(text, today=today, max_years=MAX_AGE_YEARS) if text else None

"""OCC option symbols, for example ``AAPL230120C00150000``: root, expiration, C or P, strike in thousandths."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from closingbell.market.instruments import OptionContract

_TAIL_LENGTH = 15
"""Characters after the root: six of the expiration, one of the kind, eight of the strike."""

_ROOT = re.compile(r"[A-Z][A-Z0-9]{0,5}")
_TAIL = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})([CP])([0-9]{8})")
_THOUSAND = Decimal(1000)


def parse_occ(symbol: str) -> OptionContract | None:
    """Read an OCC option symbol.

    It is read from the right, because only the length of the root varies. The root may be padded with spaces to six
    characters, as the OCC writes it, and the symbol prefixed with ``O:``, as Polygon does.

    Parameters
    ----------
    symbol : str
        Any symbol, in any letter case.

    Returns
    -------
    OptionContract or None
        The contract, its symbol without prefix or padding; None if this is not an option symbol.
    """
    text = symbol.strip()
    if not text.isascii():
        # `upper` turns some other letters into ASCII capitals, such as the long s into S.
        return None
    text = text.upper().removeprefix("O:")
    root, tail = text[:-_TAIL_LENGTH].rstrip(" "), _TAIL.fullmatch(text[-_TAIL_LENGTH:])
    if tail is None or not _ROOT.fullmatch(root):
        return None
    year, month, day, kind, thousandths = tail.groups()
    strike = Decimal(thousandths) / _THOUSAND
    try:
        expiration = date(2000 + int(year), int(month), int(day))
    except ValueError:
        return None
    if not strike:
        return None
    return OptionContract(root + tail.group(), root, expiration, kind == "C", strike)


def format_occ(underlying: str, expiration: date, *, is_call: bool, strike: Decimal) -> str:
    """Write the OCC symbol of an option, without padding.

    Parameters
    ----------
    underlying : str
        The root: one to six capital letters and digits.
    expiration : date
        The day of expiration, in this century.
    is_call : bool
        Whether it is a call; otherwise a put.
    strike : Decimal
        Money per share: above 0, below 100,000, at most three decimals.

    Raises
    ------
    ValueError
        If one of them does not fit into the format.
    """
    thousandths = strike * _THOUSAND
    if not _ROOT.fullmatch(underlying):
        raise ValueError(
            f"{underlying!r} cannot be the root of an OCC symbol, which has one to six capital letters and digits"
        )
    if expiration.year // 100 != 20:
        raise ValueError(f"an OCC symbol cannot express the expiration {expiration}: its years run from 2000 to 2099")
    if not thousandths.is_finite() or thousandths % 1 or not 0 < thousandths < 10**8:
        raise ValueError(f"an OCC symbol cannot express a strike of {strike}")
    return f"{underlying}{expiration:%y%m%d}{'C' if is_call else 'P'}{int(thousandths):08d}"

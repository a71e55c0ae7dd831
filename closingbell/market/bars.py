"""Daily bars of a symbol, and its corporate actions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from closingbell.arrays import Dates, Floats


class ActionKind(StrEnum):
    """Kinds of corporate action that change a price without a trade."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, order=True)
class CorporateAction:
    """A split (value = new shares per old share) or cash dividend (value = money per share) on its ex-date."""

    ex_date: date
    kind: ActionKind
    value: Decimal


@dataclass(frozen=True)
class Bars:
    """Daily bars of one symbol, oldest first, as traded: not adjusted for any later split or dividend.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
    open, high, low, close : ndarray of float64, shape (T,)
        NaN where the provider has no value.
    volume : ndarray of float64, shape (T,)
        Shares or contracts; NaN where unknown.
    actions : tuple of CorporateAction
        Those whose ex-date lies in the requested range.
    source : str
        Origin of the numbers, stored with every row (for example ``demo:real`` or ``yahoo``).
    """

    sessions: Dates
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    source: str
    actions: tuple[CorporateAction, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(a) for a in (self.sessions, self.open, self.high, self.low, self.close, self.volume)}
        if len(lengths) != 1:
            raise ValueError("the arrays of Bars must have the same length")

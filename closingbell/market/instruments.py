"""What can be held and priced: stocks, funds and option contracts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import numpy as np

from closingbell.arrays import Ints

CONTRACT_SIZE = 100
"""Units of the underlying in one option contract."""


class Kind(StrEnum):
    """The kind of a symbol."""

    EQUITY = "equity"
    ETF = "etf"
    OPTION = "option"


@dataclass(frozen=True)
class OptionContract:
    """A listed option; `symbol` is its OCC symbol, for example ``AAPL230120C00150000``."""

    symbol: str
    underlying: str
    expiration: date
    is_call: bool
    strike: Decimal


@dataclass(frozen=True)
class Instrument:
    """One symbol of the universe.

    Parameters
    ----------
    id : int
    symbol : str
    kind : Kind
    history : tuple of date or None
        The range for which prices have been fetched.
    contract : OptionContract or None
    underlying_id : int or None
    needed_from : date or None
        Portfolios need prices from this day on.
    followed_from : date or None
        The first session computed for it; None if it has been computed from the start of the data.
    """

    id: int
    symbol: str
    kind: Kind
    history: tuple[date, date] | None
    contract: OptionContract | None = None
    underlying_id: int | None = None
    needed_from: date | None = None
    followed_from: date | None = None


class Instruments(tuple[Instrument, ...]):
    """The active instruments of some kinds, ordered by id: the columns of the batch's matrices."""

    __slots__ = ()

    @property
    def ids(self) -> Ints:
        """Return their keys, shape (N,), ascending."""
        return np.array([instrument.id for instrument in self], dtype=np.int64)

    @property
    def symbols(self) -> list[str]:
        """Return their names, length N."""
        return [instrument.symbol for instrument in self]

    def computable(self, first: date, history: date) -> Instruments:
        """Return the instruments whose rows of a range can be computed.

        A symbol may become active during a backfill of sessions that it has no prices for. It is left out, so that
        the backfill writes the same rows as if it had ended before the symbol became active.

        Parameters
        ----------
        first : date
            The range's first session.
        history : date
            The first session whose price the range needs.
        """
        return Instruments(
            item
            for item in self
            if item.followed_from is None
            or item.followed_from <= first
            or (item.history is not None and item.history[0] <= history)
        )

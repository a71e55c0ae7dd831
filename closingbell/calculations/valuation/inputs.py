"""What a valuation is computed from: the ledger of all portfolios, and the market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Dates, Floats, Ints
from closingbell.calculations.money import CENTS, round_cents


@dataclass(frozen=True)
class Lots:
    """P positions of the ledger, ordered by portfolio.

    A lot that is entered after its exit or its expiration never counts.

    Attributes
    ----------
    portfolio : int64 (P,)
        Row of the portfolio in `Portfolios`; ascending.
    column : int64 (P,)
        Column of the price matrix; -1 when there is no price series (always so for private assets).
    holding : int64 (P,)
        Number of the symbol; lots with the same number are one holding in the concentration.
    is_private, is_option : bool (P,)
        The class; neither means PUBLIC.
    quantity : float64 (P,)
        Units held, negative for a short, in the share count of `as_of`.
    multiplier : float64 (P,)
        Units of the underlying per contract; 1 for everything but options.
    entry_price, exit_price : float64 (P,)
        Dollars per unit, in the share count of `as_of`; exit NaN while open.
    entry, exit : datetime64[D] (P,)
        Trade dates; exit NaT while open.
    as_of : datetime64[D] (P,)
        `quantity` includes the splits with an ex-date up to this date, and no later ones.
    expiration : datetime64[D] (P,)
        Options only, else NaT.
    strike : float64 (P,)
        Options only, else NaN; dollars.
    is_call : bool (P,)
        Options only: call or put.
    underlying : int64 (P,)
        Options only: price column of the underlying, -1 when it has none.
    """

    portfolio: Ints
    column: Ints
    holding: Ints
    is_private: Bools
    is_option: Bools
    quantity: Floats
    multiplier: Floats
    entry_price: Floats
    exit_price: Floats
    entry: Dates
    exit: Dates
    as_of: Dates
    expiration: Dates
    strike: Floats
    is_call: Bools
    underlying: Ints

    @property
    def traded_column(self) -> Ints:
        """Return the price column of each lot (P,), -1 (the row without prices) for private assets."""
        return np.where(self.is_private, -1, self.column)

    @property
    def cents_per_price(self) -> Floats:
        """Return the cents (P,) that one unit is worth at a price of one dollar."""
        return self.multiplier * CENTS

    def amount(self, price: Floats) -> Ints:
        """Return the cents (P,) of `quantity` at a price (P,) in the same share count; 0 where the price is NaN."""
        return round_cents(self.quantity * self.cents_per_price * price)


@dataclass(frozen=True)
class Portfolios:
    """K portfolios.

    Attributes
    ----------
    equity : int64 (K,)
        Cents of equity on the inception session, flows of that session included.
    inception : datetime64[D] (K,)
        The portfolio starts on the first session on or after this date.
    """

    equity: Ints
    inception: Dates


@dataclass(frozen=True)
class Flows:
    """F contributions and withdrawals, in any order.

    Attributes
    ----------
    portfolio : int64 (F,)
        Row of the portfolio.
    day : datetime64[D] (F,)
        Booked at the close of the first session on or after this date.
    amount : int64 (F,)
        Cents; a contribution is positive.
    """

    portfolio: Ints
    day: Dates
    amount: Ints


@dataclass(frozen=True)
class Valuations:
    """V manual valuations of private lots, in any order; the last of several for one lot and day holds.

    Attributes
    ----------
    lot : int64 (V,)
        Row of the lot in `Lots`.
    day : datetime64[D] (V,)
        In force from this date until the next valuation.
    price : float64 (V,)
        Dollars per unit.
    """

    lot: Ints
    day: Dates
    price: Floats


@dataclass(frozen=True)
class Actions:
    """A corporate actions of one kind, in any order.

    Attributes
    ----------
    column : int64 (A,)
        Price column of the symbol.
    ex_date : datetime64[D] (A,)
        First date without the entitlement.
    value : float64 (A,)
        New shares per old share for splits, dollars per share for cash dividends.
    """

    column: Ints
    ex_date: Dates
    value: Floats


@dataclass(frozen=True)
class Market:
    """T contiguous sessions by N price series.

    The sessions should begin at least `STALE_SESSIONS` sessions before the earliest inception, where data exist.
    An expiration on a date that is not a session settles only when `sessions` extend past that date.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Trading days, oldest first, without gaps.
    close : float64 (T, N)
        Dollars as traded, NaN where unknown.
    splits, dividends : Actions
        Corporate actions of these columns.
    """

    sessions: Dates
    close: Floats
    splits: Actions
    dividends: Actions


def check_inputs(lots: Lots, market: Market, sessions: Dates) -> None:
    """Raise `ValueError` on inputs that would silently give wrong numbers."""
    if np.any(np.diff(lots.portfolio) < 0):
        raise ValueError("lots must be ordered by portfolio")
    if not np.all(np.isin(sessions, market.sessions)):
        raise ValueError("every requested session must be one of the market's sessions")
    if not np.all(np.isfinite(lots.entry_price)) or not np.all(np.isfinite(lots.quantity)):
        raise ValueError("every lot needs a quantity and an entry price")
    if not np.all(np.isfinite(lots.exit_price) | np.isnat(lots.exit)):
        raise ValueError("every lot with an exit date needs an exit price")
    if np.any(np.maximum(lots.column, lots.underlying) >= market.close.shape[1]):
        raise ValueError("every price column must be one of the market's")

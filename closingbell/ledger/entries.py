"""The entries of a new portfolio, before they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from closingbell.market.instruments import OptionContract

PUBLIC, OPTIONS, PRIVATE = "PUBLIC", "OPTIONS", "PRIVATE"
"""Investment classes."""


@dataclass(frozen=True)
class NewPosition:
    """One lot.

    Parameters
    ----------
    symbol : str
        Ticker, OCC symbol or name of a private asset.
    quantity : Decimal
        Shares, contracts or units; negative for a short.
    entry_price, exit_price : Decimal
        Money per share or unit; the exit price is None while the position is open.
    entry_date, exit_date : date
    investment_class : str
        PUBLIC, OPTIONS or PRIVATE.
    investment_subtype : str or None
        For example STOCK, ETF, CALL, PUT, PRIVATE_EQUITY or REAL_ESTATE.
    valuations : tuple of (date, Decimal)
        Manual valuations of a private asset, money per unit, oldest first.
    contract : OptionContract or None
        The contract of an option position.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    investment_class: str
    investment_subtype: str | None
    exit_date: date | None = None
    exit_price: Decimal | None = None
    valuations: tuple[tuple[date, Decimal], ...] = ()
    contract: OptionContract | None = None

    @property
    def position_type(self) -> str:
        """Return LONG or SHORT; for options LC, LP, SC or SP."""
        if self.contract is None:
            return "LONG" if self.quantity > 0 else "SHORT"
        return ("L" if self.quantity > 0 else "S") + ("C" if self.contract.is_call else "P")


@dataclass(frozen=True)
class NewPortfolio:
    """A portfolio with its lots, contributions and withdrawals.

    Parameters
    ----------
    name, account_name, account_type : str
    equity : Decimal
        Equity at the close of the inception session; cash is what the positions leave of it.
    inception : date
    positions : tuple of NewPosition
    equity_changes : tuple of (date, str, Decimal)
        Date, ``contribution`` or ``withdrawal``, and a positive amount of money.
    """

    name: str
    account_name: str
    account_type: str
    equity: Decimal
    inception: date
    positions: tuple[NewPosition, ...]
    equity_changes: tuple[tuple[date, str, Decimal], ...] = ()

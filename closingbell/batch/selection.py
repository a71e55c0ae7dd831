"""Which instruments a step works on."""

from __future__ import annotations

from closingbell.errors import ConfigurationError
from closingbell.market.instruments import Instrument, Instruments, Kind
from closingbell.repositories import universe
from closingbell.repositories.database import Connection

SHARES = (Kind.EQUITY, Kind.ETF)
"""Stocks and funds."""


def active_shares(connection: Connection) -> Instruments:
    """Return all active stocks and funds.

    Raises
    ------
    ConfigurationError
        If there are none.
    """
    instruments = universe.active(connection, SHARES)
    if not instruments:
        raise ConfigurationError("the universe has no active symbols", "Run `closingbell init`, or upload a portfolio")
    return instruments


def is_share(instrument: Instrument) -> bool:
    """Return whether this is a stock or a fund."""
    return instrument.kind in SHARES


def is_contract(instrument: Instrument) -> bool:
    """Return whether this is an option contract."""
    return instrument.kind is Kind.OPTION


def is_company(instrument: Instrument) -> bool:
    """Return whether this is a stock: a company, which publishes statements."""
    return instrument.kind is Kind.EQUITY

"""The symbols that the demo provider knows."""

from __future__ import annotations

DEMO_STOCKS = (
    *("AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO"),
    *("LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM"),
)
DEMO_FUNDS = ("SPY", "TLT", "MTUM", "VTV", "VUG", "IWM", "QUAL", "USMV")

MARKET = "SPY"
"""The fund that defines the sessions of the data, and that betas are measured against."""


def is_known(symbol: str) -> bool:
    """Return whether the demo has data of a symbol."""
    return symbol in DEMO_STOCKS or symbol in DEMO_FUNDS

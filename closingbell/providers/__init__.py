"""Sources of market data behind one interface, chosen by name."""

from __future__ import annotations

from closingbell.errors import ConfigurationError
from closingbell.providers.base import MarketDataProvider

KNOWN = ("demo",)
"""The names that `provider_named` accepts."""


def provider_named(name: str) -> MarketDataProvider:
    """Return a new provider by its name.

    Raises
    ------
    ConfigurationError
        If no provider has that name.
    """
    if name == "demo":
        # Only the chosen provider's packages are loaded.
        from closingbell.providers.demo import DemoProvider  # noqa: PLC0415

        return DemoProvider()
    raise ConfigurationError(f"unknown market-data provider {name!r}", f"Choose one of: {', '.join(KNOWN)}")

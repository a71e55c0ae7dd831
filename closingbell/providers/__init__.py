"""Sources of market data behind one interface, chosen by name."""

from __future__ import annotations

from pkgutil import resolve_name

from closingbell.errors import ConfigurationError
from closingbell.providers.base import MarketDataProvider

PROVIDERS = {
    "demo": "closingbell.providers.demo:DemoProvider",
}
"""The class of each provider by its name; a provider's packages are imported only when it is chosen."""


def provider_named(name: str) -> MarketDataProvider:
    """Return a new provider by its name.

    Raises
    ------
    ConfigurationError
        If no provider has that name.
    """
    if name not in PROVIDERS:
        raise ConfigurationError(f"unknown market-data provider {name!r}", f"Choose one of: {', '.join(PROVIDERS)}")
    provider: MarketDataProvider = resolve_name(PROVIDERS[name])()
    return provider

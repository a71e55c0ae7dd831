"""The registry of providers."""

from __future__ import annotations

import pytest

from closingbell.errors import ConfigurationError
from closingbell.providers import PROVIDERS, provider_named


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_registered_under_its_own_name(name: str) -> None:
    assert provider_named(name).name == name


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown market-data provider 'yahu'.*Choose one of: .*demo"):
        provider_named("yahu")

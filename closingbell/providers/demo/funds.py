"""The funds whose closes are not in skfolio's files: VUG is derived from other funds, TLT is synthetic."""

from __future__ import annotations

import numpy as np

from closingbell.arrays import Floats
from closingbell.providers.demo.series import (
    DERIVED,
    PRICE_DECIMALS,
    SESSIONS_A_YEAR,
    SYNTHETIC,
    Series,
    generator,
    simple_returns,
)

VUG_FIRST_CLOSE = 60.0
VUG_NOISE = 0.0015
"""Standard deviation of the daily noise in VUG's returns."""

TLT_FIRST_SESSION = np.datetime64("2002-07-30")
"""The fund's real first day of trading, although its prices are synthetic."""

TLT_FIRST_CLOSE = 82.0
TLT_VOLATILITY = 0.158
TLT_BETA = -0.33
TLT_DRIFT = 0.03
"""Mean annual return of TLT."""


def growth_fund(market: Series, value: Series) -> Series:
    """Derive VUG on the sessions that both the market and the value fund have."""
    sessions, of_market, of_value = np.intersect1d(market.sessions, value.sessions, return_indices=True)
    returns = 2.0 * simple_returns(market.close[of_market]) - simple_returns(value.close[of_value])
    noise = generator("VUG", "close").normal(0.0, VUG_NOISE, len(returns))
    return Series(sessions, _compound(VUG_FIRST_CLOSE, returns + noise), DERIVED)


def bond_fund(market: Series) -> Series:
    """Generate TLT: its beta times the market's returns, plus noise for the rest of its volatility."""
    first = int(np.searchsorted(market.sessions, TLT_FIRST_SESSION))
    excess = market.returns[first:] - market.returns[first:].mean()
    variance = TLT_VOLATILITY**2 / SESSIONS_A_YEAR - TLT_BETA**2 * excess.var()
    noise = generator("TLT", "close").normal(0.0, np.sqrt(variance), len(excess))
    # The noise's mean is removed: over twenty years it would add up to an arbitrary drift.
    returns = TLT_DRIFT / SESSIONS_A_YEAR + TLT_BETA * excess + noise - noise.mean()
    return Series(market.sessions[first:], _compound(TLT_FIRST_CLOSE, returns), SYNTHETIC)


def _compound(first: float, returns: Floats) -> Floats:
    """Return the closes, shape (T + 1,), that start at `first` and earn `returns`, shape (T,)."""
    growth = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    return np.round(first * growth, PRICE_DECIMALS)

"""Synthetic option prices: Black-Scholes on an EWMA volatility of the underlying."""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate

import numpy as np

from closingbell.arrays import Floats
from closingbell.market.instruments import OptionContract
from closingbell.providers.demo.series import SESSIONS_A_YEAR, SYNTHETIC, Series

RISK_FREE_RATE = 0.02
"""Annual rate of all option prices, the same for every term and time, continuously compounded."""

EWMA_DECAY = 0.94
OPTION_TICK = 0.01
"""Option prices are multiples of this and at least this: a bar's price is above zero."""

OPTION_LIFE = timedelta(days=730)
"""An option is listed this long before it expires."""


def option_closes(contract: OptionContract, underlying: Series, volatility: Floats) -> Series:
    """Price an option on every session of its life.

    Parameters
    ----------
    contract : OptionContract
    underlying : Series
        T sessions.
    volatility : ndarray of float64, shape (T - 1,)
        `ewma_volatility` of the underlying's returns.
    """
    listed = np.datetime64(contract.expiration - OPTION_LIFE, "D")
    expires = np.datetime64(contract.expiration, "D")
    # The first session has no return, and so no volatility.
    sessions = underlying.sessions[1:]
    life = slice(*np.searchsorted(sessions, [listed, expires + 1]))
    close = black_scholes(
        underlying.close[1:][life],
        float(contract.strike),
        (expires - sessions[life]).astype(np.float64) / 365.0,
        volatility[life],
        RISK_FREE_RATE,
        is_call=contract.is_call,
    )
    return Series(sessions[life], np.maximum(np.round(close, 2), OPTION_TICK), SYNTHETIC)


def black_scholes(
    spot: Floats, strike: float, years: Floats, volatility: Floats, rate: float, *, is_call: bool
) -> Floats:
    """Price European options on an underlying without dividends.

    Parameters
    ----------
    spot : ndarray of float64, shape (T,)
        Price of the underlying, above 0.
    strike : float
        Money per share, above 0.
    years : ndarray of float64, shape (T,)
        Time to expiration, at least 0.
    volatility : ndarray of float64, shape (T,)
        Annual standard deviation of returns, at least 0.
    rate : float
        Annual risk-free rate, continuously compounded.
    is_call : bool
        Whether the options are calls or puts.

    Returns
    -------
    ndarray of float64, shape (T,)
        Money per share. Without time or volatility left, the intrinsic value against the discounted strike.
    """
    from scipy.special import ndtr  # noqa: PLC0415 - slow to import, and only option prices need it

    discounted = strike * np.exp(-rate * years)
    deviation = volatility * np.sqrt(years)
    sign = 1.0 if is_call else -1.0
    certain = deviation == 0.0
    spread = np.where(certain, 1.0, deviation)
    upper = np.log(spot / discounted) / spread + spread / 2.0
    price = sign * (spot * ndtr(sign * upper) - discounted * ndtr(sign * (upper - spread)))
    intrinsic = np.maximum(sign * (spot - discounted), 0.0)
    return np.where(certain, intrinsic, np.maximum(price, 0.0))


def ewma_volatility(returns: Floats) -> Floats:
    """Estimate the annual volatility known after each return.

    Parameters
    ----------
    returns : ndarray of float64, shape (T,)
        Daily returns, oldest first.

    Returns
    -------
    ndarray of float64, shape (T,)
        The first value follows from the first return alone.
    """
    squares = (returns**2).tolist()
    variance = accumulate(squares, lambda before, now: EWMA_DECAY * before + (1.0 - EWMA_DECAY) * now)
    return np.sqrt(np.fromiter(variance, dtype=np.float64) * SESSIONS_A_YEAR)

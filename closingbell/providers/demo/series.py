"""Histories of closes, and the seeded random generators of everything synthetic."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from closingbell.arrays import Dates, Floats

REAL, PROXY, DERIVED, SYNTHETIC = "demo:real", "demo:proxy", "demo:derived", "demo:synthetic"
"""Where a number comes from; the package's docstring explains each."""

SESSIONS_A_YEAR = 252
PRICE_DECIMALS = 6


@dataclass(frozen=True)
class Series:
    """The closes of one symbol, oldest first.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
    close : ndarray of float64, shape (T,)
        Money per share.
    source : str
    """

    sessions: Dates
    close: Floats
    source: str

    @cached_property
    def returns(self) -> Floats:
        """Simple returns, shape (T - 1,)."""
        return simple_returns(self.close)


def simple_returns(close: Floats) -> Floats:
    """Return the returns between consecutive closes, shape (T - 1,)."""
    return close[1:] / close[:-1] - 1.0


def generator(*names: str) -> np.random.Generator:
    """Return a random generator seeded by the names alone, and so the same in every process."""
    return np.random.default_rng(zlib.crc32(":".join(names).encode()))

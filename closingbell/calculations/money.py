"""Money in integer cents."""

from __future__ import annotations

import numpy as np

from closingbell.arrays import Floats, Ints

CENTS = 100
"""Cents in a dollar."""

MONEY_DECIMALS = 2
"""Decimals to which money is stored."""


def round_cents(amount: Floats) -> Ints:
    """Round an amount in cents to an integer, ties to even; NaN, which means there is no amount, gives 0."""
    return np.rint(np.nan_to_num(amount)).astype(np.int64)

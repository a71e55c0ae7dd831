"""Closes adjusted for splits and dividends. All returns are taken from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from closingbell.arrays import Bools, Dates, Floats
from closingbell.market.bars import ActionKind, CorporateAction

RESTATEMENT_TOLERANCE = 1e-4
"""Two closes of one session with a larger relative difference mean that the provider has restated its history."""


def adjusted_close(sessions: Dates, close: Floats, actions: Sequence[CorporateAction]) -> Floats:
    """Multiply each close by the factors of all splits and dividends with a later ex-date.

    The factor of a split is ``1 / ratio``, that of a dividend ``1 - dividend / close`` with the last close before the
    ex-date. This is the method of the Center for Research in Security Prices, which Yahoo follows too.

    Parameters
    ----------
    sessions : ndarray of datetime64[D], shape (T,)
        Ascending.
    close : ndarray of float64, shape (T,)
        As traded; NaN where unknown.
    actions : sequence of CorporateAction
        In any order.

    Returns
    -------
    ndarray of float64, shape (T,)
        NaN where the close is unknown, and before the ex-date of a dividend that is not smaller than the close
        before it: such a dividend has no valid factor.
    """
    factors = np.ones(len(sessions) + 1)
    for action in sorted(actions):
        first = int(np.searchsorted(sessions, np.datetime64(action.ex_date)))
        if action.kind is ActionKind.SPLIT:
            factors[first] /= float(action.value)
        else:
            factors[first] *= _dividend_factor(close[:first], float(action.value))
    # The product runs from the newest session backwards: a close is multiplied by all factors after it.
    later = np.cumprod(factors[::-1])[::-1]
    adjusted: Floats = close * later[1:]
    return adjusted


def _dividend_factor(before: Floats, dividend: float) -> float:
    known = before[np.isfinite(before)]
    if not len(known):
        return 1.0
    return 1.0 - dividend / float(known[-1]) if dividend < known[-1] else float("nan")


def restated(ours: Floats, theirs: Floats, tolerance: float = RESTATEMENT_TOLERANCE) -> Bools:
    """Return where both closes are known and differ by more than a relative `tolerance`; any shape."""
    with np.errstate(invalid="ignore"):
        differs: Bools = np.abs(theirs - ours) > tolerance * np.abs(ours)
    return differs

"""Ratios of a part to a total."""

from __future__ import annotations

import numpy as np

from closingbell.arrays import Floats, Ints


def ratio(part: Ints | Floats, total: Ints | Floats) -> Floats:
    """Divide `part` by `total`.

    Parameters
    ----------
    part, total : ndarray
        In the same unit; of shapes that broadcast.

    Returns
    -------
    ndarray of float64
        Fractions in the broadcast shape; NaN where the total is not positive.
    """
    result = np.full(np.broadcast_shapes(part.shape, total.shape), np.nan)
    np.divide(part, total, out=result, where=total > 0)
    return result

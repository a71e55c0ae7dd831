"""Windows of sessions: for each of the last S rows of an array (T, N), the rows that end with it.

All sums over windows are taken here. They add one session after the other, oldest first, over all symbols and
windows at once. A symbol's numbers are therefore the same to the last bit whichever other symbols and sessions are
computed with it. Neither a running sum nor a matrix product has this property.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from closingbell.arrays import Floats


def last_rows(values: Floats, count: int) -> Floats:
    """Return the last `count` rows of `values` (T, N), preceded by NaN rows where there are fewer; (count, N)."""
    missing = max(0, count - len(values))
    rows = values[len(values) + missing - count :]
    return np.concatenate([np.full((missing, values.shape[1]), np.nan), rows]) if missing else rows


def window_rows(values: Floats, window: int, count: int) -> Iterator[Floats]:
    """Iterate over the windows of the last `count` rows in step.

    Parameters
    ----------
    values : ndarray of float64, shape (T, N)
        At least ``window + count - 1`` rows.
    window : int
        Rows in a window.
    count : int
        Number of windows S.

    Yields
    ------
    ndarray of float64, shape (S, N)
        The oldest row of every window, then the second oldest, and so on to the last. These are views.
    """
    start = len(values) - count - window + 1
    for row in range(start, start + window):
        yield values[row : row + count]


def window_sums(values: Floats, window: int, count: int) -> Floats:
    """Sum `values` (T, N) over each of the last `count` windows; returns (count, N)."""
    total = np.zeros((count, values.shape[1]))
    for rows in window_rows(values, window, count):
        total += rows
    return total

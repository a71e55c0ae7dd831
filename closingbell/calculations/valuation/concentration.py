"""How the gross value of a portfolio is spread over its holdings and over groups such as sectors."""

from __future__ import annotations

import numpy as np

from closingbell.arrays import Floats, Ints
from closingbell.calculations.ratios import ratio


def group_weights(value: Ints, portfolio: Ints, group: Ints, count: int, groups: int) -> Floats:
    """Weigh the groups that the lots of each portfolio fall into, such as sectors.

    Parameters
    ----------
    value : int64 (P, S)
        Cents per lot and session; 0 where the lot has no value.
    portfolio : int64 (P,)
        Row of the portfolio, 0 <= portfolio < count; ascending.
    group : int64 (P, S)
        Group of the lot on each session, 0 <= group < groups.
    count : int
        K, the number of portfolios.
    groups : int
        G, the number of groups.

    Returns
    -------
    float64 (K, S, G)
        Fraction of the portfolio's gross value in each group; NaN where gross is 0.

    Raises
    ------
    ValueError
        If a group does not exist.
    """
    if np.any((group < 0) | (group >= groups)):
        raise ValueError(f"groups must lie in 0..{groups - 1}")
    sessions = value.shape[1]
    # Integer sums are exact: neither the order of the lots nor the other portfolios change a bit.
    cents = np.zeros((sessions, count * groups), dtype=np.int64)
    for session in range(sessions):
        np.add.at(cents[session], portfolio * groups + group[:, session], np.abs(value[:, session]))
    by_group = cents.reshape(sessions, count, groups).transpose(1, 0, 2)
    return ratio(by_group, by_group.sum(axis=2, keepdims=True))


def rank_holdings(holdings: Ints, owner: Ints, gross: Ints) -> tuple[Ints, Ints, Floats]:
    """Sum the largest three, the largest ten, and the squared weights of each portfolio's holdings.

    Parameters
    ----------
    holdings : int64 (m, S)
        Gross cents per holding, ordered by portfolio.
    owner : int64 (m,)
        Portfolio of each holding, ascending.
    gross : int64 (k, S)
        Gross cents per portfolio.

    Returns
    -------
    top3, top10 : int64 (k, S)
        Cents.
    squares : float64 (k, S)
        Sum of squared weights, added from the largest down: the order of the holdings does not change a bit.
    """
    top3, top10, squares = np.zeros_like(gross), np.zeros_like(gross), np.zeros(gross.shape)
    counts = np.bincount(owner, minlength=len(gross))
    first = np.cumsum(counts) - counts
    # Portfolios are padded to the next power of two, by size, so that a very large one does not inflate the others.
    sizes = 2 ** np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    for size in np.unique(sizes[counts > 0]):
        members = np.flatnonzero((sizes == size) & (counts > 0))
        slot = np.arange(size)
        source = np.minimum(first[members, None] + slot, len(holdings) - 1)
        padded = holdings[source] * (slot < counts[members, None])[:, :, None]
        ranked = -np.sort(-padded, axis=1)
        top3[members] = ranked[:, :3].sum(axis=1)
        top10[members] = ranked[:, :10].sum(axis=1)
        weights = ranked / np.maximum(gross[members], 1)[:, None, :]
        squares[members] = np.cumsum(weights * weights, axis=1)[:, -1]
    return top3, top10, squares

"""Rows of tables: select, order, match and sum them by key."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from closingbell.arrays import Dates, Ints
from closingbell.calculations.valuation.inputs import Actions, Flows, Lots, Valuations

Table = TypeVar("Table", Lots, Flows, Valuations, Actions)


def take_rows(table: Table, rows: slice | Ints) -> Table:
    """Take rows of every column of a table."""
    return type(table)(**{name: column[rows] for name, column in vars(table).items()})


def ordered_by(table: Table, key: Ints, day: Dates) -> Table:
    """Order a table by key, then day; equal rows keep their order."""
    return take_rows(table, np.lexsort((day, key)))


def key_range(ordered: Ints, keys: slice) -> slice:
    """Return the rows of the ascending `ordered` whose value lies in the half-open range `keys`."""
    low, high = np.searchsorted(ordered, [keys.start, keys.stop])
    return slice(int(low), int(high))


def matching_pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return all (i, j) with ``left[i] == right[j]``, ordered by i, then j; `right` must ascend."""
    low = np.searchsorted(right, left, side="left")
    counts = np.searchsorted(right, left, side="right") - low
    i = np.repeat(np.arange(len(left)), counts)
    j = np.arange(len(i)) + np.repeat(low - (np.cumsum(counts) - counts), counts)
    return i, j


def sum_by(values: Ints, key: Ints, count: int) -> Ints:
    """Sum the rows of `values` (p, S) that share a key (p,) in 0..count-1; returns int64 (count, S)."""
    total = np.zeros((count, values.shape[1]), dtype=np.int64)
    if len(key):
        if np.any(np.diff(key) < 0):
            order = np.argsort(key, kind="stable")
            values, key = values[order], key[order]
        present, first = np.unique(key, return_index=True)
        total[present] = np.add.reduceat(values, first, axis=0)
    return total

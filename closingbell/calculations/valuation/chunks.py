"""The ledger in chunks of portfolios, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from closingbell.arrays import Ints
from closingbell.calculations.valuation.inputs import Flows, Lots, Portfolios, Valuations
from closingbell.calculations.valuation.tables import key_range, ordered_by, take_rows

CHUNK_CELLS = 500_000
"""Positions x sessions computed at once: the ten or so temporary arrays of this size stay far below 100 MiB."""


@dataclass(frozen=True)
class Chunk:
    """k consecutive portfolios with their p lots, flows and valuations.

    Attributes
    ----------
    portfolios, rows : slice
        Their places among all portfolios and among all lots.
    lots : Lots
        The p lots; their column `portfolio` counts from the first of all portfolios, unlike `owner`.
    owner : int64 (p,)
        Portfolio of each lot, counted from the chunk's first one, as are the references of `flows`.
    start : int64 (k,)
        Number of each portfolio's inception session.
    equity : int64 (k,)
        Cents on that session.
    flows : Flows
        Ordered by portfolio, then day.
    valuations : Valuations
        Ordered by lot, then day; lots are counted from the chunk's first one.
    """

    portfolios: slice
    rows: slice
    lots: Lots
    owner: Ints
    start: Ints
    equity: Ints
    flows: Flows
    valuations: Valuations


def ledger_chunks(
    lots: Lots, portfolios: Portfolios, flows: Flows, valuations: Valuations, start: Ints, width: int
) -> Iterator[Chunk]:
    """Cut the ledger into chunks of about `CHUNK_CELLS` lots x sessions, at least one portfolio each.

    Parameters
    ----------
    lots, portfolios, flows, valuations : Lots, Portfolios, Flows, Valuations
        The ledger.
    start : int64 (K,)
        Number of each portfolio's inception session.
    width : int
        Number of sessions.
    """
    ledger = Chunk(
        portfolios=slice(0, len(start)),
        rows=slice(0, len(lots.portfolio)),
        lots=lots,
        owner=lots.portfolio,
        start=start,
        equity=portfolios.equity,
        flows=ordered_by(flows, flows.portfolio, flows.day),
        valuations=ordered_by(valuations, valuations.lot, valuations.day),
    )
    count = len(start)
    ends = np.searchsorted(ledger.owner, np.arange(count), side="right")
    load = ends + np.arange(1, count + 1)
    budget = max(CHUNK_CELLS // width, 1)
    first, first_lot = 0, 0
    while first < count:
        stop = max(int(np.searchsorted(load, first + first_lot + budget, side="right")), first + 1)
        stop_lot = int(ends[stop - 1])
        yield _cut(ledger, slice(first, stop), slice(first_lot, stop_lot))
        first, first_lot = stop, stop_lot


def _cut(ledger: Chunk, portfolios: slice, rows: slice) -> Chunk:
    """Take some consecutive portfolios, whose lots are `rows`, out of the entire ledger."""
    flows = take_rows(ledger.flows, key_range(ledger.flows.portfolio, portfolios))
    valuations = take_rows(ledger.valuations, key_range(ledger.valuations.lot, rows))
    return Chunk(
        portfolios=portfolios,
        rows=rows,
        lots=take_rows(ledger.lots, rows),
        owner=ledger.owner[rows] - portfolios.start,
        start=ledger.start[portfolios],
        equity=ledger.equity[portfolios],
        flows=replace(flows, portfolio=flows.portfolio - portfolios.start),
        valuations=replace(valuations, lot=valuations.lot - rows.start),
    )

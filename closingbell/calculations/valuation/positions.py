"""Quantity, price and value of each lot on each session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Floats, Ints
from closingbell.calculations.valuation.chunks import Chunk
from closingbell.calculations.valuation.clock import Clock
from closingbell.calculations.valuation.inputs import Actions, Lots
from closingbell.calculations.valuation.prices import Prices
from closingbell.calculations.valuation.spans import Spans, find_spans
from closingbell.calculations.valuation.tables import matching_pairs


@dataclass(frozen=True)
class Positions:
    """The p lots of a chunk on every session.

    Attributes
    ----------
    spans : Spans
        When each lot enters and leaves.
    booked : int64 (p,)
        Session on which the lot enters its portfolio's books; `width` if it has not yet.
    quantity : float64 (p, width)
        Units, restated for splits up to the session.
    value : int64 (p, width)
        Cents; 0 unless `held`.
    counted, held : bool (p, width)
        Whether the lot counts, and whether it counts and has a price.
    """

    spans: Spans
    booked: Ints
    quantity: Floats
    value: Ints
    counted: Bools
    held: Bools


def derive_positions(chunk: Chunk, prices: Prices, clock: Clock) -> Positions:
    """Derive quantity, value and presence of each lot on each session."""
    lots = chunk.lots
    spans = find_spans(chunk, prices, clock)
    quantity = _quantities(lots, prices.splits, clock)
    price = prices.close[lots.traded_column]
    price[lots.is_private] = _private_prices(chunk, clock)
    session = np.arange(clock.width)
    counted = session >= np.maximum(spans.entry, spans.start)[:, None]
    counted &= session < spans.end[:, None]
    held = counted & ~np.isnan(price)
    held &= session < spans.settle[:, None]
    price *= quantity * lots.cents_per_price[:, None]
    np.rint(price, out=price)
    np.copyto(price, 0.0, where=~held)
    return Positions(
        spans=spans,
        booked=_booked(spans, held),
        quantity=quantity,
        value=price.astype(np.int64),
        counted=counted,
        held=held,
    )


def _booked(spans: Spans, held: Bools) -> Ints:
    """Find the session on which each lot enters the books: its entry or, if present at the start, its first price."""
    width = held.shape[1]
    opening = spans.alive & (spans.entry <= spans.start)
    first_held = np.where(held.any(axis=1), held.argmax(axis=1), width)
    return np.where(opening, first_held, np.where(spans.alive, np.minimum(spans.entry, width), width))


def _quantities(lots: Lots, splits: Actions, clock: Clock) -> Floats:
    """Restate the units of each lot for the splits between `as_of` and each session; returns (p, width)."""
    quantity = np.repeat(lots.quantity[:, None], clock.width, axis=1)
    lot, split = matching_pairs(lots.traded_column, splits.column)
    rows, row = np.unique(lot, return_inverse=True)
    if not len(rows):
        return quantity
    session = np.minimum(clock.on_or_after(splits.ex_date[split]), clock.width)
    ratio = splits.value[split]
    ahead = lots.as_of[lot] < splits.ex_date[split]
    growth = np.ones((len(rows), clock.width + 1))
    np.multiply.at(growth, (row[ahead], session[ahead]), ratio[ahead])
    # Latest first: the order of the products is then the same whether a split lies within `width` or beyond it.
    behind = np.flatnonzero(~ahead)[::-1]
    undone = np.ones((len(rows), clock.width + 1))
    np.multiply.at(undone, (row[behind], session[behind]), ratio[behind])
    quantity[rows] *= np.cumprod(growth, axis=1)[:, :-1]
    quantity[rows] /= np.cumprod(undone[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return quantity


def _private_prices(chunk: Chunk, clock: Clock) -> Floats:
    """Price the r private lots at their last valuation so far, else their entry price; returns (r, width)."""
    lots, valuations = chunk.lots, chunk.valuations
    rows = np.flatnonzero(lots.is_private)
    price = np.full((len(rows), clock.width), np.nan)
    price[:, 0] = lots.entry_price[rows]
    session = clock.on_or_after(valuations.day)
    use = lots.is_private[valuations.lot] & (session < clock.width) & ~np.isnan(valuations.price)
    # Where several fall on one session, the assignment keeps the last one; they are ordered by day.
    price[np.searchsorted(rows, valuations.lot[use]), session[use]] = valuations.price[use]
    latest = np.maximum.accumulate(np.where(np.isnan(price), 0, np.arange(clock.width)), axis=1)
    return np.take_along_axis(price, latest, axis=1)

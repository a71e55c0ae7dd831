"""Fetch the bars that are needed and keep those that pass the checks."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from closingbell.batch.prices.ranges import Range, ranges_of
from closingbell.market.adjustment import restated
from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instrument, Instruments
from closingbell.market.quality import check_bars
from closingbell.providers.base import Answer, MarketDataProvider
from closingbell.repositories import prices
from closingbell.repositories.database import Database

logger = logging.getLogger(__name__)

Fetch = Callable[[Sequence[Instrument], date, date], Mapping[str, Answer[Bars]]]
"""Asks a provider for the bars of instruments from a first to a last day; answers by symbol."""


@dataclass
class Fetched:
    """The answers of the provider after the checks; all but `failed` by symbol id.

    Parameters
    ----------
    bars : dict of int to Bars
    refused : dict of int to Refusals
        The bars that did not pass the checks.
    known : dict of int to tuple of date
        The range that is known once the bars are stored.
    restated : dict of int to date
        The first session on which the provider no longer agrees with the stored closes.
    failed : dict of str to Answer
        By symbol.
    """

    bars: dict[int, Bars] = field(default_factory=dict)
    refused: dict[int, prices.Refusals] = field(default_factory=dict)
    known: dict[int, Range] = field(default_factory=dict)
    restated: dict[int, date] = field(default_factory=dict)
    failed: dict[str, Answer[Bars]] = field(default_factory=dict)


def shares_from(provider: MarketDataProvider) -> Fetch:
    """Return how to fetch stocks and funds."""
    return lambda shares, start, end: provider.daily_bars([item.symbol for item in shares], start, end)


def contracts_from(provider: MarketDataProvider) -> Fetch:
    """Return how to fetch option contracts."""
    return lambda listed, start, end: provider.option_bars(
        [item.contract for item in listed if item.contract], start, end
    )


def fetch_needed(
    database: Database, calendar: SessionCalendar, instruments: Instruments, sessions: Sequence[date], fetch: Fetch
) -> Fetched:
    """Fetch what a range of sessions needs; where the provider has restated its history, fetch all that is known."""
    fetched = _fetch_ranges(calendar, instruments, sessions, fetch)
    _find_restated(database, calendar, fetched)
    for instrument in instruments:
        if instrument.id in fetched.restated:
            logger.warning("%s was restated by the provider: fetching its entire history again", instrument.symbol)
            start, end = fetched.known[instrument.id]
            _accept(calendar, [instrument], (start, end), fetch([instrument], start, end), fetched)
    return fetched


def _fetch_ranges(
    calendar: SessionCalendar, instruments: Instruments, sessions: Sequence[date], fetch: Fetch
) -> Fetched:
    """Fetch the range that each instrument needs; those with the same range are fetched together."""
    groups: dict[Range, list[Instrument]] = defaultdict(list)
    known: dict[int, Range] = {}
    for instrument in instruments:
        needed, known[instrument.id] = ranges_of(calendar, instrument, sessions)
        groups[needed].append(instrument)
    fetched = Fetched()
    for (start, end), group in groups.items():
        logger.info("fetching the bars of %d symbols from %s to %s", len(group), start, end)
        _accept(calendar, group, (start, end), fetch(group, start, end), fetched)
        fetched.known.update({item.id: known[item.id] for item in group if item.id in fetched.bars})
    return fetched


def _accept(
    calendar: SessionCalendar,
    group: Sequence[Instrument],
    requested: Range,
    answers: Mapping[str, Answer[Bars]],
    fetched: Fetched,
) -> None:
    """Keep the bars that pass the checks, and record why the others do not."""
    valid = calendar.session_array(*requested)
    for instrument in group:
        answer = answers[instrument.symbol]
        if answer.value is None:
            fetched.failed[instrument.symbol] = answer
            # Without its entire history a restated series must not be mixed into the stored one.
            fetched.bars.pop(instrument.id, None)
            fetched.known.pop(instrument.id, None)
            fetched.restated.pop(instrument.id, None)
            continue
        bars, refused = check_bars(answer.value, valid, valid[-1].item())
        fetched.bars[instrument.id] = bars
        fetched.refused[instrument.id] = prices.Refusals(requested, refused, bars.source)


def _find_restated(database: Database, calendar: SessionCalendar, fetched: Fetched) -> None:
    """Compare the fetched closes with the stored ones; record since when they differ."""
    ids = np.array(sorted(fetched.bars), dtype=np.int64)
    if not len(ids):
        return
    days = np.unique(np.concatenate([fetched.bars[key].sessions for key in ids]))
    if not len(days):
        return
    valid = calendar.session_array(days[0].item(), days[-1].item())
    with database.transaction() as connection:
        ours = prices.read_matrix(connection, valid, ids, ["close"])["close"]
    theirs = np.full_like(ours, np.nan)
    for column, key in enumerate(ids.tolist()):
        theirs[np.searchsorted(valid, fetched.bars[key].sessions), column] = fetched.bars[key].close
    differs = restated(ours, theirs)
    for column in np.flatnonzero(differs.any(axis=0)).tolist():
        fetched.restated[int(ids[column])] = valid[differs[:, column].argmax()].item()

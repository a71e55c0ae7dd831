"""Which sessions must be fetched, so that the range and the history that it rests on are complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instrument

HISTORY_SESSIONS = 256
"""How many sessions before the first one prices must reach back: to the end of the previous year.

A year has up to 254 sessions.
"""

OVERLAP_SESSIONS = 5
"""Sessions before the range that are fetched again, to notice that the provider has restated its history."""

Range = tuple[date, date]


def ranges_of(calendar: SessionCalendar, instrument: Instrument, sessions: Sequence[date]) -> tuple[Range, Range]:
    """Return the range to fetch for an instrument, and the range that is known afterwards."""
    last = _last_traded(calendar, instrument, sessions[-1])
    first = min(sessions[0], last)
    history = _history_start(calendar, instrument, sessions)
    if instrument.history is None:
        return (history, last), (history, last)
    start, end = instrument.history
    overlap = calendar.offset(first, -OVERLAP_SESSIONS)
    if history < start:
        # Up to the sessions that are known already, so that the known range has no hole.
        return (history, max(last, start)), (history, max(last, end))
    return (min(overlap, end), last), (start, max(last, end))


def is_incomplete(calendar: SessionCalendar, contract: Instrument, sessions: Sequence[date]) -> bool:
    """Return whether a contract trades in the range, or its prices within the history are not all known."""
    settlement = _last_traded(calendar, contract, sessions[-1])
    if settlement >= sessions[0]:
        return True
    history = _history_start(calendar, contract, sessions)
    known = contract.history
    return settlement >= history and (known is None or known[0] > history or known[1] < settlement)


def _history_start(calendar: SessionCalendar, instrument: Instrument, sessions: Sequence[date]) -> date:
    """Return the first session whose price is needed, by the range or by a portfolio that began earlier."""
    history = calendar.offset(sessions[0], -HISTORY_SESSIONS)
    return history if instrument.needed_from is None else min(history, instrument.needed_from)


def _last_traded(calendar: SessionCalendar, instrument: Instrument, last: date) -> date:
    """Return the last session up to `last` on which an instrument can trade."""
    if instrument.contract is None:
        return last
    return min(last, calendar.latest_on_or_before(instrument.contract.expiration))

"""Check the bars and corporate actions of a provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from closingbell.arrays import Bools, Dates, Floats
from closingbell.market.bars import Bars, CorporateAction

CLOSE_OUTSIDE_RANGE = 0.005
"""How far a close may lie outside its day's low and high, as a share of the close.

Official closes come from an auction of their own.
"""

PRICE_DECIMALS = 6
"""Decimals to which prices are stored."""


@dataclass(frozen=True)
class RefusedBar:
    """A bar or corporate action that cannot be correct: its day, the reason and the numbers."""

    session: date
    reason: str
    detail: str


def check_bars(bars: Bars, valid_sessions: Dates, last: date) -> tuple[Bars, tuple[RefusedBar, ...]]:
    """Separate valid bars, rounded to `PRICE_DECIMALS`, from those that cannot be correct.

    Parameters
    ----------
    bars : Bars
        As returned by the provider, in any order.
    valid_sessions : ndarray of datetime64[D], shape (T,)
        The requested sessions, ascending.
    last : date
        The last session that can have a bar: later ones have not closed.

    Returns
    -------
    Bars
        On valid sessions only, ascending, one per session.
    tuple of RefusedBar
        One per refused bar and action, with the first reason that applies.
    """
    bars = _take(bars, np.argsort(bars.sessions, kind="stable"))
    good = np.ones(len(bars.sessions), dtype=np.bool_)
    refused: list[RefusedBar] = []
    for reason, bad in _objections(bars, valid_sessions, last):
        rows = np.flatnonzero(bad & good).tolist()
        refused += [RefusedBar(bars.sessions[row].item(), reason, _numbers(bars, row)) for row in rows]
        good &= ~bad
    actions = []
    for action in bars.actions:
        objection = _objection_to(action, valid_sessions)
        if objection is None:
            actions.append(action)
        else:
            refused.append(RefusedBar(action.ex_date, objection, f"{action.kind} {action.value}"))
    kept = replace(_take(bars, np.flatnonzero(good)), actions=tuple(actions))
    return _rounded(kept), tuple(refused)


def _objections(bars: Bars, valid_sessions: Dates, last: date) -> Iterator[tuple[str, Bools]]:
    """Yield each reason with the bars that it applies to. Comparisons with NaN are False: unknown is no reason."""
    days, low, high, close = bars.sessions, bars.low, bars.high, bars.close
    ahead = days > np.datetime64(last)
    yield "the session has not closed yet", ahead
    yield "not a session of the exchange", ~np.isin(days, valid_sessions)
    repeated = np.zeros(len(days), dtype=np.bool_)
    repeated[1:] = days[1:] == days[:-1]
    yield "a second bar of the same session", repeated
    stored = _stored(close)
    yield "the close is missing or not a number", np.isnan(stored)
    with np.errstate(invalid="ignore"):
        yield "the close is not positive", close <= 0
        yield "the close rounds to zero", stored == 0
        yield "the high is below the low", high < low
        slack = CLOSE_OUTSIDE_RANGE * np.abs(close)
        yield "the close is outside low and high", (close > high + slack) | (close < low - slack)


def _objection_to(action: CorporateAction, valid_sessions: Dates) -> str | None:
    if not action.value.is_finite() or action.value <= 0:
        return "the corporate action has no positive value"
    if not np.isin(np.datetime64(action.ex_date), valid_sessions):
        return "the ex-date is not a session of the exchange"
    return None


def _numbers(bars: Bars, row: int) -> str:
    values = {"open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close, "volume": bars.volume}
    return ", ".join(f"{name} {value[row]:.10g}" for name, value in values.items())


def _take(bars: Bars, rows: np.typing.NDArray[np.intp]) -> Bars:
    return replace(
        bars,
        sessions=bars.sessions[rows],
        open=bars.open[rows],
        high=bars.high[rows],
        low=bars.low[rows],
        close=bars.close[rows],
        volume=bars.volume[rows],
    )


def _rounded(bars: Bars) -> Bars:
    """Round prices as they are stored, so that everything derived from them is the same before and after storage."""
    return replace(
        bars, open=_stored(bars.open), high=_stored(bars.high), low=_stored(bars.low), close=_stored(bars.close)
    )


def _stored(values: Floats) -> Floats:
    """Return prices as they are stored: rounded, and unknown where infinite or too large to be rounded."""
    with np.errstate(over="ignore"):
        rounded = np.round(values, PRICE_DECIMALS)
    return np.where(np.isfinite(rounded), rounded, np.nan)

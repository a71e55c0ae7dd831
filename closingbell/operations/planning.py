"""What a night has to do: which sessions are incomplete, and whether the portfolios can be refreshed yet.

Pure functions; schedules and sensors call them and show their reasons in the ticks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta

from closingbell.errors import ConfigurationError
from closingbell.market.calendar import SessionCalendar

HEALING_SESSIONS = 63
"""An incomplete session is retried every night for a quarter."""

SYMBOL_BATCH_TIMEOUT = timedelta(minutes=60)
ONBOARDING_TIMEOUT = timedelta(minutes=2)
"""How long after its time the portfolio refresh waits for the symbol batch, and for onboarding."""

LATE_AFTER = timedelta(minutes=15)
"""A batch that has not started this long after its time is late."""


def incomplete_sessions(
    calendar: SessionCalendar, target: date, materialized: Mapping[str, Collection[date]]
) -> list[date]:
    """Return the sessions up to `target` that a batch still has to compute, oldest first.

    Parameters
    ----------
    target : date
        The newest session to compute.
    materialized : mapping of str to collection of date
        The sessions that each asset has. A session is complete when every asset has it.

    Returns
    -------
    list of date
        Every session since the last complete one, and incomplete ones among the last `HEALING_SESSIONS`. Only the
        target when nothing has been materialized yet: how far back an install begins is for its operator to decide.
        An asset without any session is new, and alone makes no session older than these incomplete.
    """
    by_asset = [{session for session in sessions if session <= target} for sessions in materialized.values()]
    started, complete = set.union(*by_asset), set.intersection(*by_asset)
    if not started:
        return [target]
    first = min(started)
    last_complete = max(set.intersection(*filter(None, by_asset)), default=first)
    since = max(first, min(last_complete, calendar.offset(target, 1 - HEALING_SESSIONS)))
    return [session for session in calendar.sessions(since, target) if session not in complete]


def consecutive_ranges(calendar: SessionCalendar, sessions: Sequence[date], most: int) -> Iterator[list[date]]:
    """Cut sessions into ranges without gaps, as few as possible with at most `most` sessions each."""
    current: list[date] = []
    for session in sessions:
        if current and (len(current) == most or calendar.offset(current[-1], 1) != session):
            yield current
            current = []
        current.append(session)
    if current:
        yield current


def session_range(
    calendar: SessionCalendar, first: date | None, last: date | None, *, earliest: date, latest: date
) -> list[date]:
    """Return the sessions of a requested range, both ends included.

    Parameters
    ----------
    first : date or None
        By default the last one.
    last : date or None
        By default `latest`.
    earliest : date
        The first session that has a partition.
    latest : date
        The newest session that has data.

    Raises
    ------
    ConfigurationError
        If an end is not a session, the range is empty, or it exceeds `earliest` or `latest`.
    """
    last = calendar.require_session(last) if last else latest
    first = calendar.require_session(first) if first else last
    if first > last:
        raise ConfigurationError(f"the range is empty: {first} comes after {last}")
    if last > latest:
        raise ConfigurationError(f"there is no data for {last} yet", f"The latest session is {latest}")
    if first < earliest:
        raise ConfigurationError(f"there is no partition before {earliest}", "See CLOSINGBELL_FIRST_PARTITION")
    return calendar.sessions(first, last)


def reason_to_wait(*, incomplete: Sequence[date], onboarding: int, waited: timedelta) -> str | None:
    """Return why the portfolios cannot be refreshed yet, or None when they can.

    Parameters
    ----------
    incomplete : sequence of date
        Sessions whose symbol batch is incomplete. The refresh never proceeds on one of them.
    onboarding : int
        Symbols whose onboarding is pending. The refresh proceeds without them after `ONBOARDING_TIMEOUT`.
    waited : timedelta
        Time since the refresh was due.
    """
    if incomplete:
        return f"the symbol batch of {format_range(incomplete)} is incomplete"
    if onboarding and waited < ONBOARDING_TIMEOUT:
        return f"{onboarding} symbols are being onboarded"
    return None


def format_range(sessions: Sequence[date]) -> str:
    """Return the first and the last of some sessions, for messages."""
    return str(sessions[0]) if len(sessions) == 1 else f"{sessions[0]} to {sessions[-1]}"

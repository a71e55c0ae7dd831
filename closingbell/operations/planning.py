"""What a night has to do: which sessions are not whole, and whether the portfolios can be refreshed yet.

Pure functions of what is known; schedules and sensors ask them, people read their reasons in the ticks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from closingbell.errors import ConfigurationError
from closingbell.market.calendar import NEW_YORK, SessionCalendar

HEALED_SESSIONS = 63
"""A hole is taken up again on every night of the following quarter."""

SYMBOL_BATCH_PATIENCE = timedelta(minutes=60)
ONBOARDING_PATIENCE = timedelta(minutes=2)
"""How long the portfolio refresh waits, from its time on."""

START_PATIENCE = timedelta(minutes=15)
"""A batch that has not started so long after its time is late."""


def session_range(
    calendar: SessionCalendar, first: date | None, last: date | None, *, earliest: date, latest: date
) -> list[date]:
    """Return the sessions of a requested range, oldest first.

    Parameters
    ----------
    first, last : date or None
        The ends of the range, both included. `last` defaults to `latest`, `first` to `last`.
    earliest : date
        The first session that has a partition.
    latest : date
        The newest session that has closed and that the provider has.

    Raises
    ------
    ConfigurationError
        If an end is not a session, the range is empty, or it does not lie between `earliest` and `latest`.
    """
    last = latest if last is None else calendar.require_session(last)
    first = last if first is None else calendar.require_session(first)
    if first > last:
        raise ConfigurationError(f"the range is empty: {first} comes after {last}")
    if last > latest:
        raise ConfigurationError(f"there is no data for {last} yet", f"The latest session is {latest}")
    if first < earliest:
        raise ConfigurationError(f"there is no partition before {earliest}", "See CLOSINGBELL_FIRST_PARTITION")
    return calendar.sessions(first, last)


def unfinished_sessions(
    calendar: SessionCalendar, target: date, materialized: Mapping[str, Collection[date]]
) -> list[date]:
    """Return the sessions up to `target` that are not whole, oldest first.

    Parameters
    ----------
    target : date
        The newest session to have.
    materialized : mapping of str to collection of date
        By asset: the sessions it has. A session is whole when every asset has it.

    Returns
    -------
    list of date
        Every session since the last whole one, and holes of the last `HEALED_SESSIONS`. The target alone when nothing
        has ever been materialized: how far back to begin is for people to say.
    """
    whole = set.intersection(*(set(sessions) for sessions in materialized.values()))
    touched = set.union(*(set(sessions) for sessions in materialized.values()))
    earlier = [session for session in touched if session <= target]
    if not earlier:
        return [target]
    done = [session for session in whole if session <= target]
    since = min(max(done, default=min(earlier)), calendar.offset(target, 1 - HEALED_SESSIONS))
    return [session for session in calendar.sessions(max(since, min(earlier)), target) if session not in whole]


def adjacent_runs(calendar: SessionCalendar, sessions: Sequence[date], most: int) -> Iterator[list[date]]:
    """Cut sessions into runs of neighbours, as few as possible with at most `most` sessions in each."""
    run: list[date] = []
    for session in sessions:
        if run and (len(run) == most or calendar.offset(run[-1], 1) != session):
            yield run
            run = []
        run.append(session)
    if run:
        yield run


def last_due(calendar: SessionCalendar, now: datetime, at: time) -> datetime:
    """Return the latest moment at or before `now` at which a job of trading days was due, in New York's time."""
    local = now.astimezone(NEW_YORK)
    day = calendar.latest_on_or_before(local.date())
    if day == local.date() and local.time() < at:
        day = calendar.offset(day, -1)
    return datetime.combine(day, at, NEW_YORK)


@dataclass(frozen=True)
class Readiness:
    """Whether the portfolios can be refreshed: `reasons` to wait, and whether waiting is over.

    Parameters
    ----------
    reasons : tuple of str
        What is waited for; empty: go.
    given_up : bool
        The patience has ended and the symbol batch is still missing: fail.
    """

    reasons: tuple[str, ...] = ()
    given_up: bool = False

    @property
    def ready(self) -> bool:
        """Whether to go."""
        return not self.reasons


def portfolio_readiness(*, lacking: Sequence[date], onboarding: int, waited: timedelta) -> Readiness:
    """Decide whether portfolios can be refreshed.

    Parameters
    ----------
    lacking : sequence of date
        Sessions whose symbol assets are not whole. The refresh never proceeds on one of them.
    onboarding : int
        Symbols whose onboarding is pending. The refresh goes on without them after `ONBOARDING_PATIENCE`.
    waited : timedelta
        Since the refresh was due.
    """
    if lacking:
        reason = f"the symbol batch of {_span(lacking)} is not whole"
        return Readiness((reason,), given_up=waited >= SYMBOL_BATCH_PATIENCE)
    if onboarding and waited < ONBOARDING_PATIENCE:
        return Readiness((f"{onboarding} symbols are being onboarded",))
    return Readiness()


def _span(sessions: Sequence[date]) -> str:
    return str(sessions[0]) if len(sessions) == 1 else f"{sessions[0]} to {sessions[-1]}"

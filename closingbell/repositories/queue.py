"""The queue of symbols to be onboarded. The rows of `symbol_universe` are the queue, so that no restart loses it.

A request waits as ``pending``, is ``processing`` while a run holds its lease, and ends as ``active`` or ``failed``. An
active symbol whose prices do not go back as far as a portfolio needs is requested too, and stays active.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Notify
from sqlalchemy import Connection, RowMapping, text

from closingbell.errors import ClosingBellError
from closingbell.market.instruments import Kind, OptionContract
from closingbell.repositories import universe
from closingbell.repositories.database import driver

CHANNEL = "symbol_requests"

MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=5)
BACKOFF_SECONDS = 5
"""Wait before the second attempt; each further wait is three times as long."""

RETRY_FAILED_AFTER = timedelta(hours=1)
"""A failed symbol that is requested again after this time is retried: it may be listed by now."""

REQUESTED = f"""
    (u.status IN ('pending', 'processing')
     OR (u.status = 'active' AND (u.leased_by IS NOT NULL OR (
         u.needed_from < coalesce(u.history_from, 'infinity') AND u.attempts < {MAX_ATTEMPTS}))))
"""
"""SQL condition: the request of row `u` of `symbol_universe` has not ended."""

_DUE = f"""
    {REQUESTED} AND u.leased_by IS NULL AND coalesce(u.next_attempt_at, '-infinity') <= now()
"""


class LeaseLostError(ClosingBellError):
    """The run no longer holds the lease of a request, so it must not write its results."""


@dataclass(frozen=True)
class SymbolRequest:
    """A symbol that a portfolio holds.

    Parameters
    ----------
    symbol : str
    kind : Kind
        As the user stated it; the provider may correct it.
    needed_from : date
        The first day whose price is needed.
    contract : OptionContract or None
        For an option.
    """

    symbol: str
    kind: Kind
    needed_from: date
    contract: OptionContract | None = None


def request(connection: Connection, symbols: Collection[SymbolRequest]) -> None:
    """Request symbols. Unknown ones are inserted once, however many transactions request them at the same time.

    A known symbol is requested again if its prices do not go back far enough, or if it failed more than
    `RETRY_FAILED_AFTER` ago.

    Every transaction inserts and updates in the same order, so that two of them cannot deadlock.
    """
    ordered = sorted(symbols, key=lambda item: (item.contract is not None, item.symbol))
    universe.add_instruments(
        connection, [(item.symbol, item.kind) for item in ordered if item.contract is None], status="pending"
    )
    universe.add_contracts(connection, [item.contract for item in ordered if item.contract], status="pending")
    first_days = {item.symbol: item.needed_from for item in ordered}
    connection.execute(
        text("""
            WITH chosen AS (
                SELECT u.id, r.day, (u.status = 'active' AND r.day < coalesce(u.history_from, 'infinity'))
                    OR (u.status = 'failed' AND u.settled_at < now() - cast(:retry_after AS interval)) AS reopened
                FROM symbol_universe u
                JOIN unnest(cast(:symbols AS text[]), cast(:days AS date[])) AS r (symbol, day) USING (symbol)
                WHERE r.day < coalesce(u.needed_from, 'infinity') OR u.status = 'failed'
                ORDER BY u.id FOR UPDATE OF u
            )
            UPDATE symbol_universe u
            SET needed_from = least(u.needed_from, c.day),
                status = CASE WHEN c.reopened AND u.status = 'failed' THEN 'pending' ELSE u.status END,
                attempts = CASE WHEN c.reopened THEN 0 ELSE u.attempts END,
                next_attempt_at = CASE WHEN c.reopened THEN NULL ELSE u.next_attempt_at END,
                requested_at = CASE WHEN c.reopened THEN now() ELSE u.requested_at END,
                settled_at = CASE WHEN c.reopened THEN NULL ELSE u.settled_at END
            FROM chosen c WHERE u.id = c.id
        """),
        {"symbols": list(first_days), "days": list(first_days.values()), "retry_after": RETRY_FAILED_AFTER},
    )
    connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def claim(connection: Connection, run_id: str, limit: int) -> list[int]:
    """Lease the oldest due requests to a run; return the keys of their symbols."""
    claimed = connection.execute(
        text(f"""
            UPDATE symbol_universe SET
                status = CASE WHEN status = 'active' THEN status ELSE 'processing' END,
                attempts = attempts + 1, leased_by = :run_id, lease_until = now() + cast(:lease AS interval)
            WHERE id IN (
                SELECT u.id FROM symbol_universe u WHERE {_DUE} ORDER BY u.requested_at, u.id LIMIT :limit
                FOR UPDATE SKIP LOCKED
            )
            RETURNING id
        """),  # noqa: S608 - our own constants
        {"run_id": run_id, "lease": LEASE, "limit": limit},
    )
    return sorted(claimed.scalars())


def complete(connection: Connection, run_id: str, symbol_ids: Collection[int], followed_from: date) -> None:
    """Complete requests: their symbols become active, and the batch follows them.

    Raises
    ------
    LeaseLostError
        If the run no longer holds the lease of one of them.
    """
    done = connection.execute(
        text("""
            UPDATE symbol_universe SET
                followed_from = CASE WHEN status = 'active' THEN followed_from ELSE :followed_from END,
                status = 'active', settled_at = now(), leased_by = NULL, lease_until = NULL, last_error = NULL
            WHERE id = ANY(:ids) AND leased_by = :run_id RETURNING id
        """),
        {"ids": sorted(symbol_ids), "run_id": run_id, "followed_from": followed_from},
    )
    if set(done.scalars()) != set(symbol_ids):
        raise LeaseLostError(f"run {run_id} has lost its lease of some symbols", "Another run onboards them")


@dataclass(frozen=True)
class Refusal:
    """Why a symbol could not be onboarded.

    Parameters
    ----------
    reason : str
    final : bool
        A retry cannot help.
    """

    reason: str
    final: bool


def refuse(connection: Connection, run_id: str, refusals: Mapping[int, Refusal]) -> None:
    """Record failed attempts, by symbol id; retry later unless the refusal is final or this was the last attempt.

    An active symbol stays active. A final refusal uses up its attempts, which ends the request.
    """
    statement = text(f"""
        UPDATE symbol_universe SET
            status = CASE WHEN status = 'active' THEN status
                          WHEN :final OR attempts >= {MAX_ATTEMPTS} THEN 'failed' ELSE 'pending' END,
            attempts = CASE WHEN :final AND status = 'active' THEN {MAX_ATTEMPTS} ELSE attempts END,
            settled_at = CASE WHEN :final OR attempts >= {MAX_ATTEMPTS} THEN now() END,
            next_attempt_at = now() + {BACKOFF_SECONDS} * power(3, attempts - 1) * interval '1 second',
            last_error = :reason, leased_by = NULL, lease_until = NULL
        WHERE id = :id AND leased_by = :run_id
    """)  # noqa: S608 - our own constants
    rows = [
        {"id": key, "run_id": run_id, "final": refusal.final, "reason": refusal.reason}
        for key, refusal in sorted(refusals.items())
    ]
    if rows:
        connection.execute(statement, rows)


def lease_holders(connection: Connection) -> list[str]:
    """Return the runs that hold leases of symbols."""
    query = text("SELECT DISTINCT leased_by FROM symbol_universe WHERE leased_by IS NOT NULL")
    return list(connection.execute(query).scalars())


def release(connection: Connection, dead_runs: Sequence[str]) -> int:
    """Release the leases that have expired and those of runs that have died; return how many.

    After the last attempt the request fails: a symbol that crashes every run must not be retried for ever.
    """
    released = connection.execute(
        text(f"""
            UPDATE symbol_universe SET
                status = CASE WHEN status = 'active' THEN status
                              WHEN attempts >= {MAX_ATTEMPTS} THEN 'failed' ELSE 'pending' END,
                settled_at = CASE WHEN attempts >= {MAX_ATTEMPTS} THEN now() END,
                last_error = 'the process of the run has died', leased_by = NULL, lease_until = NULL
            WHERE leased_by IS NOT NULL AND (leased_by = ANY(:dead_runs) OR lease_until < now())
            RETURNING id
        """),  # noqa: S608 - our own constant
        {"dead_runs": list(dead_runs)},
    )
    return len(released.all())


@dataclass(frozen=True)
class Waiting:
    """The length of the queue.

    Parameters
    ----------
    due : int
        Requests that a run can claim now.
    open : int
        All requests that have not ended.
    next_due : float or None
        Seconds until the next request becomes due; None if none will.
    """

    due: int
    open: int
    next_due: float | None


def waiting(connection: Connection) -> Waiting:
    """Return the length of the queue."""
    query = text(f"""
        SELECT count(*) FILTER (WHERE {_DUE}), count(*),
               extract(epoch FROM min(u.next_attempt_at) FILTER (WHERE NOT ({_DUE})) - now())::float8
        FROM symbol_universe u WHERE {REQUESTED}
    """)  # noqa: S608 - our own constants
    return Waiting(*connection.execute(query).one())


def listing(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """Return the requests that have not ended and those that have failed, newest first."""
    query = text(f"""
        SELECT u.symbol, u.kind, u.status, u.attempts, u.requested_at, u.next_attempt_at, u.lease_until, u.leased_by,
               u.settled_at, u.last_error
        FROM symbol_universe u WHERE {REQUESTED} OR u.status = 'failed' ORDER BY u.requested_at DESC, u.id LIMIT :limit
    """)  # noqa: S608 - our own condition
    return connection.execute(query, {"limit": limit}).mappings().all()


@dataclass(frozen=True)
class Settled:
    """How requests have ended. A ticker that the provider does not know counts as unknown, not as failed."""

    completed: int
    unknown: int
    failed: int


def settled_since(connection: Connection, moment: datetime) -> Settled:
    """Count the requests that have ended since a moment."""
    # An error of the provider begins with the outcome of its answer.
    query = text("""
        SELECT count(*) FILTER (WHERE last_error IS NULL),
               count(*) FILTER (WHERE last_error ~ '^(not_found|empty):'),
               count(*) FILTER (WHERE last_error !~ '^(not_found|empty):')
        FROM symbol_universe WHERE settled_at >= :moment
    """)
    return Settled(*connection.execute(query, {"moment": moment}).one())


class Listener:
    """Receives a notification for every request that is committed after its creation.

    Parameters
    ----------
    connection : Connection
        It must commit each statement, as that of `Database.session` does.
    """

    def __init__(self, connection: Connection) -> None:
        self._driver = driver(connection)
        self._driver.execute(f"LISTEN {CHANNEL}".encode())

    def wait(self, seconds: float) -> bool:
        """Wait for a request; return whether one was committed in this time."""
        notes: list[Notify] = list(self._driver.notifies(timeout=seconds, stop_after=1))
        return bool(notes)

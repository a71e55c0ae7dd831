"""The queue of symbols to be learnt. The rows of `symbol_universe` are the queue, so that no restart can lose it.

A request waits as ``pending``, is ``processing`` while a run holds its lease, and ends as ``active`` or ``failed``. An
active symbol whose prices do not reach back as far as a portfolio needs them is requested too, and stays active.
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
"""Before the second attempt; three times as long before each further one."""

FORGIVEN_AFTER = timedelta(hours=1)
"""A failed symbol that is asked for again so long after it failed is tried again: it may be listed by now."""

REQUESTED = f"""
    (u.status IN ('pending', 'processing')
     OR (u.status = 'active' AND (u.leased_by IS NOT NULL OR (
         u.needed_from < coalesce(u.history_from, 'infinity') AND u.attempts < {MAX_ATTEMPTS}))))
"""
"""Holds for a row `u` of `symbol_universe` whose request has not ended."""

_DUE = f"""
    {REQUESTED} AND u.leased_by IS NULL AND coalesce(u.next_attempt_at, '-infinity') <= now()
"""


class LeaseLostError(ClosingBellError):
    """Another run works on the request by now: what this one has found comes too late."""


@dataclass(frozen=True)
class SymbolRequest:
    """A symbol that a portfolio holds.

    Parameters
    ----------
    symbol : str
    kind : Kind
        What the user takes it for; the provider may know better.
    needed_from : date
        The first day whose price is needed.
    contract : OptionContract or None
        For an option.
    """

    symbol: str
    kind: Kind
    needed_from: date
    contract: OptionContract | None = None


def request(connection: Connection, wanted: Collection[SymbolRequest]) -> None:
    """Ask for symbols: insert those that are unknown, once, however many transactions name them at the same time.

    Everybody inserts and updates in the same order, so that two such transactions wait for each other and never in a
    circle.
    """
    ordered = sorted(wanted, key=lambda each: (each.contract is not None, each.symbol))
    universe.add_instruments(
        connection, [(each.symbol, each.kind) for each in ordered if each.contract is None], status="pending"
    )
    universe.add_contracts(connection, [each.contract for each in ordered if each.contract], status="pending")
    first_days = {each.symbol: each.needed_from for each in ordered}
    connection.execute(
        text("""
            WITH chosen AS (
                SELECT u.id, w.day, (u.status = 'active' AND w.day < coalesce(u.history_from, 'infinity'))
                    OR (u.status = 'failed' AND u.settled_at < now() - cast(:forgiven AS interval)) AS reopened
                FROM symbol_universe u
                JOIN unnest(cast(:symbols AS text[]), cast(:days AS date[])) AS w (symbol, day) USING (symbol)
                WHERE w.day < coalesce(u.needed_from, 'infinity') OR u.status = 'failed'
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
        {"symbols": list(first_days), "days": list(first_days.values()), "forgiven": FORGIVEN_AFTER},
    )
    connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def claim(connection: Connection, run_id: str, most: int) -> list[int]:
    """Lease the oldest requests that are due to a run; return the keys of their symbols."""
    claimed = connection.execute(
        text(f"""
            UPDATE symbol_universe SET
                status = CASE WHEN status = 'active' THEN status ELSE 'processing' END,
                attempts = attempts + 1, leased_by = :run_id, lease_until = now() + cast(:lease AS interval)
            WHERE id IN (
                SELECT u.id FROM symbol_universe u WHERE {_DUE} ORDER BY u.requested_at, u.id LIMIT :most
                FOR UPDATE SKIP LOCKED
            )
            RETURNING id
        """),  # noqa: S608 - our own constants
        {"run_id": run_id, "lease": LEASE, "most": most},
    )
    return sorted(claimed.scalars())


def complete(connection: Connection, run_id: str, symbol_ids: Collection[int], followed_from: date) -> None:
    """End requests well: their symbols are active from now on, and the batch follows them.

    Raises
    ------
    LeaseLostError
        If one of them is no longer this run's.
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
        raise LeaseLostError(f"run {run_id} has lost its lease of some symbols")


@dataclass(frozen=True)
class Refusal:
    """Why a symbol could not be learnt, and whether trying again can help."""

    reason: str
    final: bool


def refuse(connection: Connection, run_id: str, refusals: Mapping[int, Refusal]) -> None:
    """End requests badly, by symbol id: to be tried again after a while, unless that is pointless or was the last."""
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


def release(connection: Connection, dead: Sequence[str]) -> int:
    """Take back the leases that have run out, and those of runs that have died; return how many.

    The last attempt is not repeated: a symbol that kills whoever works on it must come to an end.
    """
    released = connection.execute(
        text(f"""
            UPDATE symbol_universe SET
                status = CASE WHEN status = 'active' THEN status
                              WHEN attempts >= {MAX_ATTEMPTS} THEN 'failed' ELSE 'pending' END,
                settled_at = CASE WHEN attempts >= {MAX_ATTEMPTS} THEN now() END,
                last_error = 'the process that worked on it has died', leased_by = NULL, lease_until = NULL
            WHERE leased_by IS NOT NULL AND (leased_by = ANY(:dead) OR lease_until < now())
            RETURNING id
        """),  # noqa: S608 - our own constant
        {"dead": list(dead)},
    )
    return len(released.all())


@dataclass(frozen=True)
class Waiting:
    """How much waits.

    Parameters
    ----------
    due : int
        Requests that can be worked on now.
    open : int
        All that have not ended.
    next_due : float or None
        Seconds until the next of the others is due.
    """

    due: int
    open: int
    next_due: float | None


def waiting(connection: Connection) -> Waiting:
    """Return how much waits."""
    query = text(f"""
        SELECT count(*) FILTER (WHERE {_DUE}), count(*),
               extract(epoch FROM min(u.next_attempt_at) FILTER (WHERE NOT ({_DUE})) - now())::float8
        FROM symbol_universe u WHERE {REQUESTED}
    """)  # noqa: S608 - our own constants
    return Waiting(*connection.execute(query).one())


def listing(connection: Connection, most: int) -> Sequence[RowMapping]:
    """Return the requests that have not ended, and the symbols that could not be learnt, newest first."""
    query = text(f"""
        SELECT u.symbol, u.kind, u.status, u.attempts, u.requested_at, u.next_attempt_at, u.lease_until, u.leased_by,
               u.settled_at, u.last_error
        FROM symbol_universe u WHERE {REQUESTED} OR u.status = 'failed' ORDER BY u.requested_at DESC, u.id LIMIT :most
    """)  # noqa: S608 - our own condition
    return connection.execute(query, {"most": most}).mappings().all()


@dataclass(frozen=True)
class Settled:
    """How the requests that ended since a moment have ended; a ticker that nobody knows is no failure of the plant."""

    completed: int
    unknown: int
    failed: int


def settled_since(connection: Connection, moment: datetime) -> Settled:
    """Count the requests that have ended since a moment."""
    query = text("""
        SELECT count(*) FILTER (WHERE last_error IS NULL),
               count(*) FILTER (WHERE last_error ~ '^(not_found|empty):'),
               count(*) FILTER (WHERE last_error !~ '^(not_found|empty):')
        FROM symbol_universe WHERE settled_at >= :moment
    """)
    return Settled(*connection.execute(query, {"moment": moment}).one())


class Listener:
    """Hears of requests as they are committed, from its making on.

    Parameters
    ----------
    connection : Connection
        Its transaction must be one that commits at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._driver = driver(connection)
        self._driver.execute(f"LISTEN {CHANNEL}".encode())

    def wait(self, seconds: float) -> bool:
        """Wait for a request; return whether one was committed in this time."""
        notes: list[Notify] = list(self._driver.notifies(timeout=seconds, stop_after=1))
        return bool(notes)

"""Requests to the API, and the plant's daily figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.repositories.tables import ApiRequest

DAY = "((:day)::timestamp AT TIME ZONE 'America/New_York')"
NEXT_DAY = "((:day)::timestamp + interval '1 day') AT TIME ZONE 'America/New_York'"
"""SQL expressions: the moments at which `day` begins and ends in New York."""


@dataclass(frozen=True)
class Request:
    """One answered request: when, which route, with which status, and in how many milliseconds."""

    answered_at: datetime
    route: str
    status: int
    duration_ms: float


def record_requests(connection: Connection, requests: Sequence[Request]) -> None:
    """Store answered requests; `collect_metrics` counts them and `delete_requests` removes them."""
    if requests:
        connection.execute(insert(ApiRequest), [asdict(request) for request in requests])


def collect_metrics(connection: Connection, day: date) -> int:
    """Replace the figures of a day in New York; return how many were written."""
    connection.execute(text("DELETE FROM daily_metrics WHERE day = :day"), {"day": day})
    written = connection.execute(
        text(f"""
            WITH requests AS (
                SELECT * FROM api_requests WHERE answered_at >= {DAY} AND answered_at < {NEXT_DAY}
            ),
            runs AS (
                SELECT DISTINCT run_id, job_type, status, duration_ms FROM batch_run_history
                WHERE started_at >= {DAY} AND started_at < {NEXT_DAY}
            ),
            settled AS (
                SELECT last_error, extract(epoch FROM settled_at - requested_at)::float8 * 1000 AS ms
                FROM symbol_universe WHERE settled_at >= {DAY} AND settled_at < {NEXT_DAY}
            )
            INSERT INTO daily_metrics (day, name, value)
            SELECT :day, name, value FROM (
                SELECT 'api_requests' AS name, count(*)::float8 AS value FROM requests
                UNION ALL SELECT 'api_errors', count(*) FILTER (WHERE status >= 500) FROM requests
                UNION ALL SELECT 'api_p50_ms', percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) FROM requests
                UNION ALL SELECT 'api_p95_ms', percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) FROM requests
                UNION ALL SELECT job_type || '_' || status, count(*) FROM runs GROUP BY job_type, status
                UNION ALL SELECT job_type || '_ms', max(duration_ms) FROM runs GROUP BY job_type
                UNION ALL SELECT 'onboarding_completed', count(*) FILTER (WHERE last_error IS NULL) FROM settled
                UNION ALL SELECT 'onboarding_failed', count(*) FILTER (WHERE last_error IS NOT NULL) FROM settled
                UNION ALL SELECT 'onboarding_p50_ms', percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM settled
                UNION ALL SELECT 'onboarding_p95_ms', percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) FROM settled
                UNION ALL SELECT 'symbols_' || status, count(*) FROM symbol_universe GROUP BY status
            ) AS figures
            RETURNING name
        """),  # noqa: S608 - our own constants
        {"day": day},
    )
    return len(written.all())


def delete_requests(connection: Connection, before: datetime) -> int:
    """Delete the requests answered before a moment; return how many."""
    deleted = connection.execute(delete(ApiRequest).where(ApiRequest.answered_at < before).returning(ApiRequest.id))
    return len(deleted.all())

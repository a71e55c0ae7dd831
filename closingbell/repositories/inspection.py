"""Inspect the stored data: gaps, contradictions, row counts, content hashes and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, text

from closingbell.calculations.factor_definitions import FACTORS
from closingbell.repositories.tables import Table

JUMP = 0.5
"""A larger one-day move of an adjusted close, as a fraction, is suspicious."""

UNSTABLE_COLUMNS = {
    *("created_at", "requested_at", "settled_at", "stale_since", "started_at", "finished_at"),
    *("duration_ms", "run_id", "phases"),
}
"""Columns that record when or by which run a row was written. They differ between equal tables."""


@dataclass(frozen=True)
class Finding:
    """A defect of the data: the symbol or portfolio that has it, and a description."""

    subject: str
    text: str


def _findings(connection: Connection, query: str, sessions: Sequence[date], **parameters: object) -> list[Finding]:
    values = {"sessions": list(sessions), "first": sessions[0], "last": sessions[-1], **parameters}
    return [Finding(str(row[0]), str(row[1])) for row in connection.execute(text(query), values)]


def session_gaps(connection: Connection, sessions: Sequence[date]) -> list[Finding]:
    """Return the symbols that lack bars on some of these sessions, or have bars on other days between them.

    Every session since the symbol's first bar is expected. A refused bar explains its gap and is counted separately.
    """
    query = """
        WITH sessions AS (SELECT unnest(cast(:sessions AS date[])) AS session),
        followed AS (
            SELECT id, symbol, (SELECT min(session) FROM market_data_cache WHERE symbol_id = u.id) AS since
            FROM symbol_universe u WHERE status = 'active' AND kind IN ('equity', 'etf')
        ),
        stored AS (SELECT symbol_id, session FROM market_data_cache WHERE session BETWEEN :first AND :last),
        missing AS (
            SELECT f.id, f.symbol, count(*) AS days, min(e.session) AS first, max(e.session) AS last,
                   count(*) FILTER (WHERE EXISTS (
                       SELECT 1 FROM refused_bars r WHERE r.symbol_id = f.id AND r.day = e.session)) AS refused
            FROM followed f JOIN sessions e ON f.since IS NULL OR e.session >= f.since
            LEFT JOIN stored s ON s.symbol_id = f.id AND s.session = e.session
            WHERE s.session IS NULL GROUP BY f.id, f.symbol
        ),
        unexpected AS (
            SELECT f.symbol, count(*) AS days, min(s.session) AS first
            FROM stored s JOIN followed f ON f.id = s.symbol_id
            WHERE s.session NOT IN (SELECT session FROM sessions) GROUP BY f.symbol
        )
        SELECT symbol, format('no bar on %s sessions from %s to %s, %s of them refused', days, first, last, refused)
        FROM missing
        UNION ALL
        SELECT symbol, format('%s bars on days that are not sessions, the first on %s', days, first) FROM unexpected
        ORDER BY 1, 2
    """
    return _findings(connection, query, sessions)


def suspicious_prices(connection: Connection, sessions: Sequence[date]) -> list[Finding]:
    """Return bars that contradict themselves, and adjusted closes that move by more than half in a day."""
    query = """
        WITH bars AS (
            SELECT m.*, lag(adj_close) OVER (PARTITION BY symbol_id ORDER BY session) AS previous
            FROM market_data_cache m WHERE session BETWEEN :first AND :last
        )
        SELECT u.symbol, format('%s: close %s, adjusted %s, previous %s, low %s, high %s',
                                b.session, b.close, b.adj_close, b.previous, b.low, b.high)
        FROM bars b JOIN symbol_universe u ON u.id = b.symbol_id
        WHERE u.kind <> 'option' AND (
            b.close <= 0 OR b.adj_close <= 0 OR b.high < b.low OR abs(b.adj_close / b.previous - 1) > :jump)
        ORDER BY u.symbol, b.session
    """
    return _findings(connection, query, sessions, jump=JUMP)


def missing_factors(connection: Connection, sessions: Sequence[date]) -> list[Finding]:
    """Return the symbols that lack a factor on some session that has factors, from their first followed session on."""
    query = """
        WITH counted AS (
            SELECT session, symbol_id, count(*) AS rows FROM symbol_factor_exposures
            WHERE session BETWEEN :first AND :last GROUP BY session, symbol_id
        ),
        computed AS (SELECT DISTINCT session FROM counted)
        SELECT u.symbol, format('%s sessions lack factors, the first %s', count(*), min(c.session))
        FROM computed c
        CROSS JOIN symbol_universe u
        LEFT JOIN counted n ON n.session = c.session AND n.symbol_id = u.id
        WHERE u.status = 'active' AND u.kind IN ('equity', 'etf') AND coalesce(n.rows, 0) <> :factors
            AND c.session >= coalesce(u.followed_from, '-infinity')
        GROUP BY u.symbol ORDER BY u.symbol
    """
    return _findings(connection, query, sessions, factors=len(FACTORS))


def broken_identities(connection: Connection, sessions: Sequence[date]) -> list[Finding]:
    """Return the snapshots whose NAV is not cash + long + short, or whose sums contradict each other."""
    query = """
        SELECT format('portfolio %s', portfolio_id),
               format('%s: NAV %s, cash %s, long %s, short %s', session, nav, cash, long_value, short_value)
        FROM portfolio_snapshots
        WHERE session BETWEEN :first AND :last AND (
            nav <> cash + long_value + short_value OR net <> long_value + short_value
            OR gross <> long_value - short_value)
        ORDER BY portfolio_id, session
    """
    return _findings(connection, query, sessions)


def newest_session(connection: Connection, table: str) -> date | None:
    """Return the newest session of a fact table."""
    return connection.execute(text(f"SELECT max(session) FROM {_known(table)}")).scalar()  # noqa: S608


def row_counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    return {
        table.name: connection.execute(text(f"SELECT count(*) FROM {table.name}")).scalar_one()  # noqa: S608
        for table in Table.metadata.sorted_tables
    }


def content_hash(connection: Connection, table: str) -> str:
    """Return a digest of a table's content. The order of its rows and the time of writing do not matter."""
    columns = [c.name for c in Table.metadata.tables[_known(table)].columns if c.name not in UNSTABLE_COLUMNS]
    row = f"ROW({', '.join(columns)})::text"
    query = f"SELECT md5(coalesce(string_agg(md5({row}), '' ORDER BY md5({row})), '')) FROM {table}"  # noqa: S608
    return str(connection.execute(text(query)).scalar_one())


def _known(table: str) -> str:
    if table not in Table.metadata.tables:
        raise ValueError(f"there is no table {table}")
    return table


@dataclass(frozen=True)
class PortfolioLine:
    """One line of the summary: a portfolio's latest snapshot and some of its exposures."""

    name: str
    session: date
    status: str
    nav: Decimal
    cumulative_return: float | None
    coverage: float
    exposures: dict[str, float | None]


def portfolio_lines(connection: Connection, factor_ids: Sequence[int]) -> list[PortfolioLine]:
    """Return the latest snapshot of every portfolio with its exposures to some factors, by portfolio."""
    query = text("""
        SELECT p.name, s.session, s.status, s.nav, s.cumulative_return, s.coverage,
               (SELECT jsonb_object_agg(d.name, e.exposure_value)
                FROM factor_exposures e JOIN factor_definitions d ON d.id = e.factor_id
                WHERE e.session = s.session AND e.portfolio_id = p.id AND e.factor_id = ANY(:factors)) AS exposures
        FROM portfolios p
        JOIN LATERAL (
            SELECT * FROM portfolio_snapshots WHERE portfolio_id = p.id ORDER BY session DESC LIMIT 1
        ) s ON true
        WHERE p.deleted_at IS NULL ORDER BY p.id
    """)
    return [
        PortfolioLine(
            row.name, row.session, row.status, row.nav, row.cumulative_return, row.coverage, row.exposures or {}
        )
        for row in connection.execute(query, {"factors": list(factor_ids)})
    ]

"""Users' corrections of unknown tickers, and the aliases derived from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.repositories.tables import SymbolCorrection

AGREEING_PORTFOLIOS = 3
"""Portfolios that must correct a ticker alike before other users get the correction as a suggestion."""


def record_correction(connection: Connection, portfolio_id: int, wrong: str, meant: str) -> None:
    """Record that a user has edited one ticker into another; the last edit in a portfolio counts."""
    statement = insert(SymbolCorrection).values(portfolio_id=portfolio_id, wrong=wrong, meant=meant)
    changed = {"meant": statement.excluded.meant}
    connection.execute(statement.on_conflict_do_update(index_elements=["portfolio_id", "wrong"], set_=changed))


def derive_aliases(connection: Connection) -> int:
    """Derive all aliases again from the corrections; return how many there are.

    If a ticker has several corrections, the one in most portfolios counts.
    """
    connection.execute(text("DELETE FROM symbol_aliases"))
    derived = connection.execute(
        text("""
            INSERT INTO symbol_aliases (alias, symbol, portfolios)
            SELECT DISTINCT ON (c.wrong) c.wrong, c.meant, count(*)
            FROM symbol_corrections c JOIN symbol_universe u ON u.symbol = c.meant AND u.status = 'active'
            GROUP BY c.wrong, c.meant HAVING count(*) >= :agreeing
            ORDER BY c.wrong, count(*) DESC, c.meant
            RETURNING alias
        """),
        {"agreeing": AGREEING_PORTFOLIOS},
    )
    return len(derived.all())


def aliases_of(connection: Connection, symbols: Collection[str]) -> dict[str, str]:
    """Return the symbols that users mean by these tickers, for those that are aliases."""
    query = text("SELECT alias, symbol FROM symbol_aliases WHERE alias = ANY(:symbols)")
    return {row.alias: row.symbol for row in connection.execute(query, {"symbols": list(symbols)})}


def known_tickers(connection: Connection) -> Sequence[str]:
    """Return the tickers of all active stocks and funds."""
    query = text("SELECT symbol FROM symbol_universe WHERE status = 'active' AND kind <> 'option' ORDER BY symbol")
    return connection.execute(query).scalars().all()

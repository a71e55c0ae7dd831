"""What users mean by tickers that nobody knows: their corrections, and the aliases derived from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.repositories.tables import SymbolCorrection

AGREEING_PORTFOLIOS = 3
"""How many portfolios must correct a ticker alike for it to be suggested to others."""


def record_correction(connection: Connection, portfolio_id: int, wrong: str, meant: str) -> None:
    """Remember that a user has edited one ticker into another; the last edit of a portfolio counts."""
    statement = insert(SymbolCorrection).values(portfolio_id=portfolio_id, wrong=wrong, meant=meant)
    changed = {"meant": statement.excluded.meant}
    connection.execute(statement.on_conflict_do_update(index_elements=["portfolio_id", "wrong"], set_=changed))


def derive_aliases(connection: Connection) -> int:
    """Derive the aliases from the corrections anew; return how many there are.

    Of several corrections of one ticker the one that most portfolios agree on counts.
    """
    connection.execute(text("DELETE FROM symbol_aliases"))
    learnt = connection.execute(
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
    return len(learnt.all())


def aliases_of(connection: Connection, symbols: Collection[str]) -> dict[str, str]:
    """Return what others meant by these tickers, as far as it has been learnt."""
    query = text("SELECT alias, symbol FROM symbol_aliases WHERE alias = ANY(:symbols)")
    return {row.alias: row.symbol for row in connection.execute(query, {"symbols": list(symbols)})}


def known_tickers(connection: Connection) -> Sequence[str]:
    """Return the tickers of all active stocks and funds."""
    query = text("SELECT symbol FROM symbol_universe WHERE status = 'active' AND kind <> 'option' ORDER BY symbol")
    return connection.execute(query).scalars().all()

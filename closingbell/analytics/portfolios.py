"""The portfolios of one owner, as stored and as valued in their latest snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from closingbell.analytics.positions import Position, view_positions
from closingbell.analytics.progress import Progress, read_progress
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.mode import Mode
from closingbell.repositories import accounts
from closingbell.repositories.accounts import Account
from closingbell.repositories.database import Database


@dataclass(frozen=True)
class PositionPage:
    """Some positions of a portfolio; session and coverage are those of the snapshot that values them."""

    as_of: date | None
    coverage: float | None
    items: list[Position]


class PortfolioQueries:
    """Queries on the portfolios of one owner. A portfolio of another owner raises `NotFoundError`.

    Parameters
    ----------
    database : Database
    calendar : SessionCalendar
    owner : str
    """

    def __init__(self, database: Database, calendar: SessionCalendar, owner: str) -> None:
        self._database = database
        self._calendar = calendar
        self._owner = owner

    def portfolios(self, after: int, most: int) -> list[Account]:
        """Return at most `most` portfolios with keys above `after`, each with its latest snapshot, oldest first."""
        with self._database.transaction() as connection:
            return accounts.page(connection, self._owner, after, most)

    def portfolio(self, portfolio_id: int) -> Account:
        """Return a portfolio with its latest snapshot."""
        with self._database.transaction() as connection:
            return accounts.require(connection, self._owner, portfolio_id)

    def positions(self, portfolio_id: int, after: int, most: int) -> PositionPage:
        """Return at most `most` positions of a portfolio with keys above `after`, in the order of their keys."""
        with self._database.transaction() as connection:
            account = accounts.require(connection, self._owner, portfolio_id)
            held = accounts.positions(connection, self._owner, portfolio_id, after, most)
            items = view_positions(connection, self._calendar, account, held)
        if account.snapshot is None:
            return PositionPage(None, None, items)
        return PositionPage(account.snapshot.session, account.snapshot.coverage, items)

    def position(self, portfolio_id: int, position_id: int) -> Position:
        """Return one position, or raise `NotFoundError`."""
        with self._database.transaction() as connection:
            account = accounts.require(connection, self._owner, portfolio_id)
            held = accounts.require_position(connection, self._owner, portfolio_id, position_id)
            (position,) = view_positions(connection, self._calendar, account, [held])
        return position

    def progress(self, portfolio_id: int, mode: Mode) -> Progress:
        """Return how far the plant is with a portfolio."""
        with self._database.transaction() as connection:
            return read_progress(connection, self._owner, portfolio_id, mode)

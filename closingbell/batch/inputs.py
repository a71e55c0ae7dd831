"""What the steps need besides the tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from closingbell.market.calendar import SessionCalendar
from closingbell.providers.base import MarketDataProvider


@dataclass(frozen=True)
class StepInputs:
    """What the steps need besides the tables.

    Parameters
    ----------
    provider : MarketDataProvider
    calendar : SessionCalendar
    latest : date
        The newest session that has closed and that the provider has.
    """

    provider: MarketDataProvider
    calendar: SessionCalendar
    latest: date

    def sessions_since(self, session: date) -> list[date]:
        """Return the sessions from this one to the latest; only the latest if this one lies after it."""
        return self.calendar.sessions(min(session, self.latest), self.latest)

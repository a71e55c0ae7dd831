"""Market data and the trading calendar as a Dagster resource."""

from __future__ import annotations

from datetime import date, datetime

import dagster as dg

from closingbell.batch.steps import StepInputs
from closingbell.install import runtime
from closingbell.market.calendar import SessionCalendar
from closingbell.providers.base import MarketDataProvider


class Market(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The market-data provider that the settings name, and the exchange's calendar."""

    def provider(self) -> MarketDataProvider:
        """Return the provider."""
        return runtime.open_provider()

    def calendar(self) -> SessionCalendar:
        """Return the calendar."""
        return runtime.trading_calendar()

    def latest_session(self, moment: datetime | None = None) -> date:
        """Return the newest session that has closed by a moment (default: now) and that the provider has."""
        return runtime.latest_session(moment)

    def step_inputs(self) -> StepInputs:
        """Return what the steps of the batch need besides the tables."""
        return StepInputs(self.provider(), self.calendar(), self.latest_session())

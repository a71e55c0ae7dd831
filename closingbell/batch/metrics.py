"""Compute the daily metrics of all symbols on a range of sessions and store them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from closingbell.batch.inputs import StepInputs
from closingbell.batch.prices import HISTORY_SESSIONS
from closingbell.batch.report import StepReport
from closingbell.batch.selection import active_shares
from closingbell.calculations.metrics import symbol_metrics
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instruments
from closingbell.repositories import companies, locks, metrics, prices
from closingbell.repositories.database import Connection, Database


def compute_metrics(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Compute returns, risk and size of every active stock and fund from the stored prices.

    Raises
    ------
    ConfigurationError
        If the universe is empty.
    """
    with database.transaction(lock=locks.SYMBOL_METRICS) as connection:
        history = calendar.offset(sessions[0], -HISTORY_SESSIONS)
        return _replace(connection, calendar, active_shares(connection).computable(sessions[0], history), sessions)


def onboard_metrics(connection: Connection, shares: Instruments, session: date, inputs: StepInputs) -> None:
    """Compute the metrics of a few symbols on one session."""
    _replace(connection, inputs.calendar, shares, [session])


def _replace(
    connection: Connection, calendar: SessionCalendar, instruments: Instruments, sessions: Sequence[date]
) -> StepReport:
    """Compute and write the metrics of some symbols."""
    days, ids = np.array(sessions, dtype="datetime64[D]"), instruments.ids
    window = calendar.session_array(calendar.offset(sessions[0], -HISTORY_SESSIONS), sessions[-1])
    series = prices.read_matrix(connection, window, ids, ["adj_close", "close", "volume"])
    computed = symbol_metrics(window, series["adj_close"], series["close"], series["volume"], len(days))
    rows = metrics.replace_metrics(connection, days, ids, computed, companies.read_figures(connection, days, ids))
    unpriced = np.isnan(computed.price[-1])
    return StepReport(
        metrics.TABLE,
        rows=rows,
        items=len(instruments),
        warnings={
            instruments[column].symbol: f"no price on {sessions[-1]}" for column in np.flatnonzero(unpriced).tolist()
        },
        rows_per_session=dict.fromkeys(sessions, len(instruments)),
        coverage=float(np.isfinite(computed.price).mean()),
    )

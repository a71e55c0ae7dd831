"""Estimate the factor betas of all symbols on a range of sessions and store them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np

from closingbell.arrays import Dates, Floats
from closingbell.batch.inputs import StepInputs
from closingbell.batch.report import StepReport
from closingbell.batch.selection import active_shares
from closingbell.calculations.factor_definitions import FACTORS, LONGEST_WINDOW, MARKET_FACTOR, REGRESSOR_FUNDS
from closingbell.calculations.factors import FactorEstimates, Quality, estimate_factors, simple_returns
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instruments
from closingbell.repositories import companies, factors, locks, prices, universe
from closingbell.repositories.database import Connection, Database

logger = logging.getLogger(__name__)

_NO_FUNDS = Instruments()

CELLS_PER_BLOCK = 60_000
"""Sessions x symbols that are estimated and written at a time: about 100 MB of rows for the server."""


def compute_factors(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Estimate the thirteen factors of every active stock and fund from the stored prices.

    Raises
    ------
    ConfigurationError
        If the universe is empty.
    """
    with database.transaction(lock=locks.SYMBOL_FACTORS) as connection:
        instruments = active_shares(connection).computable(sessions[0], _first_price(calendar, sessions))
        return _replace(connection, calendar, instruments, sessions)


def onboard_factors(connection: Connection, shares: Instruments, session: date, inputs: StepInputs) -> None:
    """Estimate the factors of a few symbols on one session.

    The rows of a symbol do not depend on the other symbols that are estimated with it.
    """
    funds = universe.by_symbol(connection, REGRESSOR_FUNDS)
    estimated = set(shares.ids.tolist())
    others = Instruments(fund for fund in funds if fund.id not in estimated)
    _replace(connection, inputs.calendar, shares, [session], others)


def _first_price(calendar: SessionCalendar, sessions: Sequence[date]) -> date:
    return calendar.offset(sessions[0], -LONGEST_WINDOW)


def _replace(
    connection: Connection,
    calendar: SessionCalendar,
    instruments: Instruments,
    sessions: Sequence[date],
    funds: Instruments = _NO_FUNDS,
) -> StepReport:
    """Estimate and write the factors of the instruments; the prices of `funds` are only read, to regress on."""
    days = np.array(sessions, dtype="datetime64[D]")
    window = calendar.session_array(_first_price(calendar, sessions), sessions[-1])
    priced = Instruments((*instruments, *funds))
    adj_close = prices.read_matrix(connection, window, priced.ids, ["adj_close"])["adj_close"]
    provider_beta = companies.read_figures(connection, days, priced.ids).beta
    summary = _Summary(instruments, days)
    blocks = _estimate(simple_returns(adj_close), priced, days, provider_beta, summary)
    return summary.report(factors.replace_estimates(connection, days, instruments.ids, blocks))


def _estimate(
    returns: Floats, instruments: Instruments, sessions: Dates, provider_beta: Floats, summary: _Summary
) -> Iterator[tuple[Dates, FactorEstimates]]:
    """Yield the estimates in blocks of sessions; the next block is computed while this one is written."""
    step = max(1, CELLS_PER_BLOCK // len(instruments))
    spans = [slice(start, start + step) for start in range(0, len(sessions), step)]

    def compute(span: slice) -> FactorEstimates:
        end = len(returns) - len(sessions) + min(span.stop, len(sessions))
        count = len(sessions[span])
        return estimate_factors(returns[:end], instruments.symbols, count, provider_beta[span])

    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(compute, spans[0])
        for number, span in enumerate(spans):
            estimates = upcoming.result().first(len(summary.instruments))  # without the funds, which come last
            if number + 1 < len(spans):
                upcoming = pool.submit(compute, spans[number + 1])
            summary.add(span, estimates)
            logger.info("estimated the factors of %d of %d sessions", min(span.stop, len(sessions)), len(sessions))
            yield sessions[span], estimates


class _Summary:
    """Counts the estimates of a range for the report."""

    def __init__(self, instruments: Instruments, sessions: Dates) -> None:
        self.instruments = instruments
        self._sessions = sessions
        self._known = np.zeros((len(sessions), len(FACTORS)), dtype=np.int64)
        self._observations = np.zeros(len(instruments), dtype=np.int64)
        self._last_beta = np.full((len(instruments), len(FACTORS)), np.nan)
        self._market_unknown = np.zeros(len(instruments), dtype=np.bool_)

    def add(self, span: slice, estimates: FactorEstimates) -> None:
        self._known[span] = np.isfinite(estimates.beta).sum(axis=1)
        self._last_beta = estimates.beta[-1]
        self._observations = estimates.observations[-1, :, MARKET_FACTOR]
        self._market_unknown = estimates.quality[-1, :, MARKET_FACTOR] == Quality.INSUFFICIENT_HISTORY

    def report(self, rows: int) -> StepReport:
        names, minimum = self.instruments.symbols, FACTORS[MARKET_FACTOR].minimum
        warnings = {
            names[column]: f"insufficient history: {self._observations[column]} of at least {minimum} observations"
            for column in np.flatnonzero(self._market_unknown)
        }
        report = StepReport(
            factors.TABLE,
            rows=rows,
            items=len(names),
            warnings=warnings,
            rows_per_session=dict.fromkeys(self._sessions.tolist(), len(names) * len(FACTORS)),
            coverage=float(self._known.sum()) / rows if rows else None,
            sample=[
                {
                    "factor": factor.name,
                    "known": f"{self._known[-1, index]} of {len(names)}",
                    "median beta": _median(self._last_beta[:, index]),
                }
                for index, factor in enumerate(FACTORS)
            ],
        )
        absent = [fund for fund in REGRESSOR_FUNDS if fund not in names]
        if absent:
            report.notes["regressor funds not in the universe"] = ", ".join(absent)
        return report


def _median(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 4) if len(known) else None

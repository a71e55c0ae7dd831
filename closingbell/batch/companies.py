"""Company profiles and financial statements. A provider has today's only; they are stored as of the latest session."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from closingbell.batch.inputs import StepInputs
from closingbell.batch.report import StepReport
from closingbell.batch.selection import SHARES
from closingbell.market.instruments import Instruments, Kind
from closingbell.providers.base import Answer, MarketDataProvider
from closingbell.repositories import companies, locks, universe
from closingbell.repositories.database import Database

logger = logging.getLogger(__name__)

EARNINGS_GRACE_DAYS = 3
"""Providers show a quarter's statements some days after the company has reported."""

T = TypeVar("T")


def refresh_profiles(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, target: date
) -> StepReport:
    """Fetch today's profiles, provided that the range ends with the session that they belong to.

    Nothing is fetched for a past session: the provider does not have its profiles.

    Parameters
    ----------
    target : date
        The provider's latest session, which today's profiles belong to.

    Raises
    ------
    ProviderError, BatchError
        If most symbols fail.
    """
    session = sessions[-1]
    if session != target:
        return StepReport("company_profiles", notes={"skipped": f"today's profiles belong to the session {target}"})
    with database.transaction() as connection:
        instruments = universe.active(connection, SHARES)
    answers = _separate(instruments, provider.profiles(instruments.symbols))
    with database.transaction(lock=locks.COMPANY_PROFILES) as connection:
        rows = companies.upsert_profiles(connection, session, answers.values)
    report = answers.report("company_profiles", session, rows)
    report.notes["with a sector"] = sum(profile.sector is not None for profile in answers.values.values())
    return report.require_majority(len(instruments))


def refresh_fundamentals(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, target: date
) -> StepReport:
    """Fetch the statements of the companies that are due, provided that the range ends with the session `target`.

    Raises
    ------
    ProviderError, BatchError
        If most companies fail.
    """
    session = sessions[-1]
    if session != target:
        return StepReport("income_statements", notes={"skipped": f"today's statements belong to the session {target}"})
    with database.transaction() as connection:
        instruments = universe.active(connection, [Kind.EQUITY])
        due = companies.due_for_statements(connection, session, instruments.ids.tolist(), EARNINGS_GRACE_DAYS)
    requested = Instruments(item for item in instruments if item.id in due)
    logger.info("statements are due for %d of %d companies", len(requested), len(instruments))
    answers = _separate(requested, provider.statements(requested.symbols))
    with database.transaction(lock=locks.FUNDAMENTALS) as connection:
        rows = companies.upsert_statements(connection, session, answers.values)
    report = answers.report("income_statements", session, rows)
    report.notes |= {"companies due": len(requested), "companies": len(instruments)}
    return report.require_majority(len(instruments))


def onboard_profiles(database: Database, shares: Instruments, session: date, inputs: StepInputs) -> dict[str, str]:
    """Fetch and store the profiles of symbols that are new to the plant, and whether they are companies or funds.

    Parameters
    ----------
    session : date
        The newest session that the batch has computed.

    Returns
    -------
    dict of str to str
        Why there is no profile, by symbol.
    """
    answers = _separate(shares, inputs.provider.profiles(shares.symbols))
    kinds = {key: Kind.ETF if profile.is_fund else Kind.EQUITY for key, profile in answers.values.items()}
    with database.transaction(lock=locks.COMPANY_PROFILES) as connection:
        universe.record_kinds(connection, kinds)
        companies.upsert_profiles(connection, _as_of(session, inputs), answers.values)
    return answers.failed


def onboard_fundamentals(database: Database, stocks: Instruments, session: date, inputs: StepInputs) -> dict[str, str]:
    """Fetch and store the statements of companies that are new to the plant; like `onboard_profiles`."""
    answers = _separate(stocks, inputs.provider.statements(stocks.symbols))
    with database.transaction(lock=locks.FUNDAMENTALS) as connection:
        companies.upsert_statements(connection, _as_of(session, inputs), answers.values)
    return {symbol: f"statements {reason}" for symbol, reason in answers.failed.items()}


def _as_of(session: date, inputs: StepInputs) -> date:
    """Return the session that today's facts belong to, given the newest one that the batch has computed.

    Between the close and the batch the newest computed session is yesterday's. Portfolios are valued at it, so the
    facts belong to it. They do not belong to an older session, since a provider has today's only.
    """
    return session if len(inputs.sessions_since(session)) <= 2 else inputs.latest


@dataclass(frozen=True)
class _Answers(Generic[T]):
    """Values by symbol id, reasons of failure by symbol, and how many of the failures are transient."""

    values: dict[int, T]
    failed: dict[str, str]
    transient_failures: int

    def report(self, table: str, session: date, rows: int) -> StepReport:
        """Return the report of a step that has stored the values as `rows` rows of a session."""
        requested = len(self.values) + len(self.failed)
        return StepReport(
            table,
            rows=rows,
            items=requested,
            failed=self.failed,
            transient_failures=self.transient_failures,
            rows_per_session={session: rows},
            coverage=len(self.values) / requested if requested else None,
        )


def _separate(instruments: Instruments, answers: Mapping[str, Answer[T]]) -> _Answers[T]:
    """Separate the answers with a value from the failures."""
    values: dict[int, T] = {}
    failed: dict[str, str] = {}
    transient = 0
    for instrument in instruments:
        answer = answers[instrument.symbol]
        if answer.value is not None:
            values[instrument.id] = answer.value
        else:
            failed[instrument.symbol] = str(answer)
            transient += answer.outcome.is_transient
    return _Answers(values, failed, transient)

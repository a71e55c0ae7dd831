"""Company profiles and financial statements: what a provider knows today, kept by the session it was learnt on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeVar

from closingbell.batch.report import StepReport
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
    """Fetch today's profiles when the range ends with the session that is today's.

    A provider only knows the present: for a past session nothing is asked, and nothing invented.

    Parameters
    ----------
    target : date
        The provider's latest session: the one that its present belongs to.
    """
    session = sessions[-1]
    if session != target:
        return StepReport("company_profiles", notes={"asked": f"no: profiles are of today, which is {target}"})
    with database.transaction() as connection:
        instruments = universe.active(connection, [Kind.EQUITY, Kind.ETF])
    found, failed, can_pass = _sort_out(instruments, provider.profiles(instruments.symbols))
    with database.transaction(lock=locks.COMPANY_PROFILES) as connection:
        rows = companies.upsert_profiles(connection, session, found)
    return StepReport(
        "company_profiles",
        rows=rows,
        items=len(instruments),
        failed=failed,
        can_pass=can_pass,
        rows_per_session={session: rows},
        coverage=rows / len(instruments) if instruments else None,
        notes={"with a sector": sum(profile.sector is not None for profile in found.values())},
    ).require_majority(len(instruments))


def refresh_fundamentals(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, target: date
) -> StepReport:
    """Fetch the statements of the companies that are due, when the range ends with the session that is today's."""
    session = sessions[-1]
    if session != target:
        return StepReport("income_statements", notes={"asked": f"no: statements are as of today, which is {target}"})
    with database.transaction() as connection:
        instruments = universe.active(connection, [Kind.EQUITY])
        due = companies.due_for_statements(connection, session, instruments.ids.tolist(), EARNINGS_GRACE_DAYS)
    asked = Instruments(item for item in instruments if item.id in due)
    logger.info("statements are due for %d of %d companies", len(asked), len(instruments))
    found, failed, can_pass = _sort_out(asked, provider.statements(asked.symbols))
    with database.transaction(lock=locks.FUNDAMENTALS) as connection:
        rows = companies.upsert_statements(connection, session, found)
    return StepReport(
        "income_statements",
        rows=rows,
        items=len(asked),
        failed=failed,
        can_pass=can_pass,
        rows_per_session={session: rows},
        coverage=len(found) / len(asked) if asked else None,
        notes={"companies due": len(asked), "companies": len(instruments)},
    ).require_majority(len(instruments))


def onboard_companies(
    database: Database, instruments: Instruments, as_of: date, *, provider: MarketDataProvider
) -> dict[str, str]:
    """Fetch and store profiles and statements of symbols that are new to the plant; return who failed, and how.

    Whether it is a fund or a company is learnt on the way, and neither answer is needed to follow a symbol.
    """
    found, failed, _ = _sort_out(instruments, provider.profiles(instruments.symbols))
    kinds = {key: Kind.ETF if profile.is_fund else Kind.EQUITY for key, profile in found.items()}
    firms = Instruments(item for item in instruments if kinds.get(item.id, item.kind) is Kind.EQUITY)
    stated, silent, _ = _sort_out(firms, provider.statements(firms.symbols))
    with database.transaction(lock=(locks.COMPANY_PROFILES, locks.FUNDAMENTALS)) as connection:
        universe.record_kinds(connection, kinds)
        companies.upsert_profiles(connection, as_of, found)
        companies.upsert_statements(connection, as_of, stated)
    return {**{symbol: f"statements {reason}" for symbol, reason in silent.items()}, **failed}


def _sort_out(instruments: Instruments, answers: Mapping[str, Answer[T]]) -> tuple[dict[int, T], dict[str, str], int]:
    """Part the answers into values by symbol id and reasons by symbol, and count the failures that can pass."""
    found: dict[int, T] = {}
    failed: dict[str, str] = {}
    can_pass = 0
    for instrument in instruments:
        answer = answers[instrument.symbol]
        if answer.value is not None:
            found[instrument.id] = answer.value
        else:
            failed[instrument.symbol] = str(answer)
            can_pass += answer.outcome.is_transient
    return found, failed, can_pass

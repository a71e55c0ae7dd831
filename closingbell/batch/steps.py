"""The one list of the plant's steps; batches, onboarding, checks, status and tests are built from it.

Each step fills the tables of one asset, which has the step's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from closingbell.batch.companies import refresh_fundamentals, refresh_profiles
from closingbell.batch.factors import compute_factors
from closingbell.batch.metrics import compute_metrics
from closingbell.batch.portfolios import compute_exposures, compute_snapshots
from closingbell.batch.prices import refresh_option_prices, refresh_prices
from closingbell.batch.report import StepReport
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.jobs import JobType
from closingbell.providers.base import MarketDataProvider
from closingbell.repositories.database import Database


@dataclass(frozen=True)
class StepInputs:
    """What steps need besides the tables.

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


@dataclass(frozen=True)
class Step:
    """One step of the nightly batch.

    Parameters
    ----------
    name : str
        Also the name of its asset.
    job : JobType
        The batch that it belongs to; the combined batch has every step.
    table : str
        The main table that it writes.
    run : callable
        Brings the step's tables up to date for a range of sessions.
    reaches_latest : bool
        Whether the table has rows of every session, so that its newest one shows how far the plant is behind.
    """

    name: str
    job: JobType
    table: str
    run: Callable[[Database, Sequence[date], StepInputs], StepReport]
    reaches_latest: bool = False


def _prices(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return refresh_prices(database, sessions, provider=inputs.provider, calendar=inputs.calendar)


def _option_prices(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return refresh_option_prices(database, sessions, provider=inputs.provider, calendar=inputs.calendar)


def _profiles(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return refresh_profiles(database, sessions, provider=inputs.provider, target=inputs.latest)


def _fundamentals(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return refresh_fundamentals(database, sessions, provider=inputs.provider, target=inputs.latest)


def _factors(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return compute_factors(database, sessions, calendar=inputs.calendar)


def _metrics(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return compute_metrics(database, sessions, calendar=inputs.calendar)


def _snapshots(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return compute_snapshots(database, sessions, calendar=inputs.calendar)


def _exposures(database: Database, sessions: Sequence[date], inputs: StepInputs) -> StepReport:
    return compute_exposures(database, sessions, calendar=inputs.calendar)


STEPS = (
    Step("prices", JobType.SYMBOL_BATCH, "market_data_cache", _prices, reaches_latest=True),
    Step("option_prices", JobType.SYMBOL_BATCH, "market_data_cache", _option_prices),
    Step("company_profiles", JobType.SYMBOL_BATCH, "company_profiles", _profiles),
    Step("fundamentals", JobType.SYMBOL_BATCH, "income_statements", _fundamentals),
    Step("symbol_factors", JobType.SYMBOL_BATCH, "symbol_factor_exposures", _factors, reaches_latest=True),
    Step("symbol_metrics", JobType.SYMBOL_BATCH, "symbol_daily_metrics", _metrics, reaches_latest=True),
    Step("portfolio_snapshots", JobType.PORTFOLIO_REFRESH, "portfolio_snapshots", _snapshots, reaches_latest=True),
    Step("portfolio_factor_exposures", JobType.PORTFOLIO_REFRESH, "factor_exposures", _exposures),
)
"""In the order in which they run."""


def steps_of(job: JobType) -> tuple[Step, ...]:
    """Return the steps of a job, in order; none if the job does not work on sessions."""
    return tuple(step for step in STEPS if job in {step.job, JobType.DAILY_BATCH})


def step_names(job: JobType) -> tuple[str, ...]:
    """Return the names of a job's steps, which are those of its assets."""
    return tuple(step.name for step in steps_of(job))


def step_named(name: str) -> Step:
    """Return the step of that name."""
    return next(step for step in STEPS if step.name == name)

"""The one list of the plant's steps; batches, onboarding, checks, status and tests are built from it.

Each step fills the tables of one asset, which has the step's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypeVar

from closingbell.batch.companies import (
    onboard_fundamentals,
    onboard_profiles,
    refresh_fundamentals,
    refresh_profiles,
)
from closingbell.batch.factors import compute_factors, onboard_factors
from closingbell.batch.inputs import StepInputs
from closingbell.batch.metrics import compute_metrics, onboard_metrics
from closingbell.batch.portfolios import compute_exposures, compute_snapshots, write_exposures, write_snapshots
from closingbell.batch.prices import onboard_option_prices, onboard_prices, refresh_option_prices, refresh_prices
from closingbell.batch.report import StepReport
from closingbell.batch.selection import is_company, is_contract, is_share
from closingbell.batch.step import ComputeForSymbols, FetchOptional, FetchRequired, Step, WriteForPortfolios
from closingbell.operations.jobs import JobType
from closingbell.repositories import locks
from closingbell.repositories.database import Database

__all__ = ["STEPS", "Step", "StepInputs", "onboarding_steps", "step_named", "step_names", "steps_of"]

Method = TypeVar("Method", FetchRequired, FetchOptional, ComputeForSymbols, WriteForPortfolios)


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
    Step(
        "prices",
        JobType.SYMBOL_BATCH,
        "market_data_cache",
        _prices,
        FetchRequired(is_share, onboard_prices),
        reaches_latest=True,
    ),
    Step(
        "option_prices",
        JobType.SYMBOL_BATCH,
        "market_data_cache",
        _option_prices,
        FetchRequired(is_contract, onboard_option_prices),
    ),
    Step(
        "company_profiles",
        JobType.SYMBOL_BATCH,
        "company_profiles",
        _profiles,
        FetchOptional(is_share, onboard_profiles),
    ),
    Step(
        "fundamentals",
        JobType.SYMBOL_BATCH,
        "income_statements",
        _fundamentals,
        FetchOptional(is_company, onboard_fundamentals),
    ),
    Step(
        "symbol_factors",
        JobType.SYMBOL_BATCH,
        "symbol_factor_exposures",
        _factors,
        ComputeForSymbols(locks.SYMBOL_FACTORS, is_share, onboard_factors),
        reaches_latest=True,
    ),
    Step(
        "symbol_metrics",
        JobType.SYMBOL_BATCH,
        "symbol_daily_metrics",
        _metrics,
        ComputeForSymbols(locks.SYMBOL_METRICS, is_share, onboard_metrics),
        reaches_latest=True,
    ),
    Step(
        "portfolio_snapshots",
        JobType.PORTFOLIO_REFRESH,
        "portfolio_snapshots",
        _snapshots,
        WriteForPortfolios(write_snapshots),
        reaches_latest=True,
    ),
    Step(
        "portfolio_factor_exposures",
        JobType.PORTFOLIO_REFRESH,
        "factor_exposures",
        _exposures,
        WriteForPortfolios(write_exposures),
    ),
)
"""In the order in which they run."""


def onboarding_steps(method: type[Method]) -> list[tuple[Step, Method]]:
    """Return the steps that onboard by a method, in order, each with its method."""
    return [(step, step.onboarding) for step in STEPS if isinstance(step.onboarding, method)]


def steps_of(job: JobType) -> tuple[Step, ...]:
    """Return the steps of a job, in order; none if the job does not work on sessions."""
    return tuple(step for step in STEPS if job in {step.job, JobType.DAILY_BATCH})


def step_names(job: JobType) -> tuple[str, ...]:
    """Return the names of a job's steps, which are those of its assets."""
    return tuple(step.name for step in steps_of(job))


def step_named(name: str) -> Step:
    """Return the step of that name."""
    return next(step for step in STEPS if step.name == name)

"""The names of all advisory locks and leases, in one place so that no two uses share a name by accident."""

from __future__ import annotations

MIGRATIONS = "migrations"
SEEDS = "seeds"

PRICES = "prices"
OPTION_PRICES = "option_prices"
COMPANY_PROFILES = "company_profiles"
FUNDAMENTALS = "fundamentals"
SYMBOL_FACTORS = "symbol_factors"
SYMBOL_METRICS = "symbol_metrics"

PORTFOLIOS = "portfolios"
"""Snapshots and exposures are written under one lock, since exposures divide by the snapshots' NAV.

The batch holds it exclusively. Writers of single portfolios share it, and each holds its portfolios' own locks.
"""


def portfolio(portfolio_id: int) -> str:
    """Return the lock of one portfolio's ledger and snapshots."""
    return f"portfolio {portfolio_id}"


def year_partitions(table: str) -> str:
    """Return the lock under which a fact table's yearly partitions are created."""
    return f"{table} partitions"


def job_start(job: str) -> str:
    """Return the lock that lets one caller at a time start a job."""
    return f"start {job}"


def job(name: str) -> str:
    """Return the lease that the active run of a job type holds, so that there is only one."""
    return f"job {name}"


def run(run_id: str) -> str:
    """Return the lease that the process of a run holds as long as it lives."""
    return f"run {run_id}"

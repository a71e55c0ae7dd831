"""Asset checks: what must be true of the tables.

A check that runs with a batch covers the sessions of the run; one that is started alone covers the latest year. The
standing checks cover the latest sessions and run every weekday evening.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg

from assets.metadata import markdown_table
from assets.portfolio_snapshots import portfolio_snapshots
from assets.prices import prices
from assets.symbol_factors import symbol_factors
from closingbell.batch.steps import STEPS, Step
from closingbell.operations.freshness import Level, level_of, sessions_behind
from closingbell.operations.jobs import JobType
from closingbell.operations.planning import HEALING_SESSIONS
from closingbell.repositories import inspection, run_records
from closingbell.repositories.database import Connection
from closingbell.repositories.inspection import Finding
from resources import Market, Warehouse
from resources.jobs import JobReader

SESSIONS_BY_DEFAULT = 252
MAX_SHOWN = 20


def _sessions(context: dg.AssetCheckExecutionContext, market: Market) -> list[date]:
    """Return the sessions that the run covers."""
    run = context.op_execution_context
    if run.has_partition_key or run.has_partition_key_range:
        keys = run.partition_key_range
        return market.calendar().sessions(date.fromisoformat(keys.start), date.fromisoformat(keys.end))
    return _recent_sessions(market, SESSIONS_BY_DEFAULT)


def _recent_sessions(market: Market, count: int) -> list[date]:
    calendar, latest = market.calendar(), market.latest_session()
    return calendar.sessions(calendar.offset(latest, 1 - count), latest)


def _result(
    findings: Sequence[Finding], checked: int, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"checked": checked, "found": len(findings)}
    if findings:
        rows = [{"what": finding.subject, "finding": finding.text} for finding in findings[:MAX_SHOWN]]
        metadata["findings"] = dg.MetadataValue.md(markdown_table(rows))
    return dg.AssetCheckResult(passed=not findings, severity=severity, metadata=metadata)


def _inspect(
    context: dg.AssetCheckExecutionContext,
    warehouse: Warehouse,
    market: Market,
    inspector: Callable[[Connection, Sequence[date]], list[Finding]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the findings of an inspection on the sessions that the run covers."""
    sessions = _sessions(context, market)
    with warehouse.open().transaction() as connection:
        findings = inspector(connection, sessions)
    return _result(findings, len(sessions), severity)


@dg.asset_check(asset=prices)
def sessions_complete(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market
) -> dg.AssetCheckResult:
    """Every active symbol has a bar on every session since its first one, and on no other day."""
    return _inspect(context, warehouse, market, inspection.session_gaps, dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=prices)
def prices_sane(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
    """No bar contradicts itself, and no adjusted close moves by more than half in a day."""
    return _inspect(context, warehouse, market, inspection.suspicious_prices, dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=symbol_factors, blocking=True)
def factors_present(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market
) -> dg.AssetCheckResult:
    """Every active stock and fund has a row for every factor on every session that has been computed."""
    return _inspect(context, warehouse, market, inspection.missing_factors)


@dg.asset_check(asset=portfolio_snapshots, blocking=True)
def nav_adds_up(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
    """NAV = cash + long + short, to the cent, for every snapshot."""
    return _inspect(context, warehouse, market, inspection.broken_identities)


def _freshness_check(step: Step) -> dg.AssetChecksDefinition:
    """Check that a step's table reaches the latest session, so that weekends and holidays expect no rows.

    Dagster's own freshness policies use the time of the last materialization, whichever partition that was, so a
    backfill of an old session would pass them.
    """

    @dg.asset_check(
        asset=step.name,
        name=f"{step.name}_fresh",
        description="The table reaches the latest session that has closed; weekends and holidays expect no rows.",
    )
    def fresh(warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
        expected = market.latest_session()
        with warehouse.open().transaction() as connection:
            newest = inspection.newest_session(connection, step.table)
        behind = sessions_behind(market.calendar(), newest, expected)
        level = level_of(behind)
        return dg.AssetCheckResult(
            passed=level is Level.CURRENT,
            severity=dg.AssetCheckSeverity.WARN if level is Level.WARNING else dg.AssetCheckSeverity.ERROR,
            metadata={"newest session": str(newest), "expected": str(expected), "sessions behind": str(behind)},
        )

    return fresh


def _partitions_check(step: Step) -> dg.AssetChecksDefinition:
    """Check that no recent partition of a step's asset has failed or was left out."""

    @dg.asset_check(
        asset=step.name,
        name=f"{step.name}_partitions",
        description=f"No partition of the last {HEALING_SESSIONS} sessions has failed or is missing.",
    )
    def partitions(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
        done = JobReader(context.instance).materialized_sessions([step.name])[step.name]
        sessions = _recent_sessions(market, HEALING_SESSIONS)
        # The freshness checks report sessions after the newest one; before the first one the install did not exist.
        missing = [day for day in sessions if done and min(done) < day < max(done) and day not in done]
        with warehouse.open().transaction() as connection:
            failures = run_records.failures(connection, [step.job, JobType.DAILY_BATCH], sessions)
        findings = [Finding(str(day), "the partition is missing") for day in missing]
        findings += [
            Finding(str(failure.session), failure.reason) for failure in failures if failure.step in {step.name, ""}
        ]
        return _result(findings, len(sessions))

    return partitions


CHECKS_OF_RUNS = [sessions_complete, prices_sane, factors_present, nav_adds_up]
STANDING_CHECKS = [
    *(_freshness_check(step) for step in STEPS if step.reaches_latest),
    *(_partitions_check(step) for step in STEPS),
]
CHECKS = [*CHECKS_OF_RUNS, *STANDING_CHECKS]

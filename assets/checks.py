"""Asset checks: what must be true of the tables, whoever wrote them.

Within a run a check looks at the sessions of that run; asked for by itself, at the latest year.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from assets.portfolio_snapshots import portfolio_snapshots
from assets.prices import prices
from assets.step import markdown_table
from assets.symbol_factors import symbol_factors
from closingbell.repositories import inspection
from closingbell.repositories.inspection import Finding
from resources import Market, Warehouse

SESSIONS_BY_DEFAULT = 252
MAX_SHOWN = 20


def _sessions(context: dg.AssetCheckExecutionContext, market: Market) -> list[date]:
    """Return the sessions that the run is about."""
    run = context.op_execution_context
    calendar, latest = market.calendar(), market.latest_session()
    if run.has_partition_key or run.has_partition_key_range:
        keys = run.partition_key_range
        return calendar.sessions(date.fromisoformat(keys.start), date.fromisoformat(keys.end))
    return calendar.sessions(calendar.offset(latest, 1 - SESSIONS_BY_DEFAULT), latest)


def _result(
    findings: Sequence[Finding], checked: int, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"checked": checked, "found": len(findings)}
    if findings:
        rows = [{"what": finding.subject, "finding": finding.text} for finding in findings[:MAX_SHOWN]]
        metadata["findings"] = dg.MetadataValue.md(markdown_table(rows))
    return dg.AssetCheckResult(passed=not findings, severity=severity, metadata=metadata)


@dg.asset_check(asset=prices)
def sessions_complete(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market
) -> dg.AssetCheckResult:
    """Every active symbol has a bar on every session since its first one, and on no other day."""
    sessions = _sessions(context, market)
    with warehouse.open().transaction() as connection:
        findings = inspection.session_gaps(connection, sessions)
    return _result(findings, len(sessions), dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=prices)
def prices_sane(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
    """No bar contradicts itself, and no adjusted close moves by more than half in a day."""
    sessions = _sessions(context, market)
    with warehouse.open().transaction() as connection:
        findings = inspection.suspicious_prices(connection, sessions)
    return _result(findings, len(sessions), dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=symbol_factors, blocking=True)
def factors_present(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market
) -> dg.AssetCheckResult:
    """Every active stock and fund has a row for every factor on every session that has been computed."""
    sessions = _sessions(context, market)
    with warehouse.open().transaction() as connection:
        findings = inspection.missing_factors(connection, sessions)
    return _result(findings, len(sessions))


@dg.asset_check(asset=portfolio_snapshots, blocking=True)
def nav_adds_up(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
    """NAV = cash + long + short, to the cent, for every snapshot."""
    sessions = _sessions(context, market)
    with warehouse.open().transaction() as connection:
        findings = inspection.broken_identities(connection, sessions)
    return _result(findings, len(sessions))


def _freshness_check(asset: dg.AssetsDefinition, table: str) -> dg.AssetChecksDefinition:
    """Check that a table reaches the latest session; no such session is expected of a weekend or a holiday.

    Dagster's own freshness policies look at when an asset was last materialized, whichever partition that was, so a
    backfill of an old session would make them green.
    """

    @dg.asset_check(
        asset=asset,
        name=f"{asset.key.to_user_string()}_fresh",
        description="The table reaches the latest session that has closed; weekends and holidays expect none.",
    )
    def fresh(warehouse: Warehouse, market: Market) -> dg.AssetCheckResult:
        expected = market.latest_session()
        with warehouse.open().transaction() as connection:
            newest = inspection.newest_session(connection, table)
        behind = len(market.calendar().sessions(newest, expected)) - 1 if newest else None
        severity = dg.AssetCheckSeverity.WARN if behind == 1 else dg.AssetCheckSeverity.ERROR
        metadata = {"newest session": str(newest), "expected": str(expected), "sessions behind": str(behind)}
        return dg.AssetCheckResult(passed=newest == expected, severity=severity, metadata=metadata)

    return fresh


CHECKS = [sessions_complete, prices_sane, factors_present, nav_adds_up]
FRESHNESS_CHECKS = [
    _freshness_check(prices, "market_data_cache"),
    _freshness_check(symbol_factors, "symbol_factor_exposures"),
    _freshness_check(portfolio_snapshots, "portfolio_snapshots"),
]

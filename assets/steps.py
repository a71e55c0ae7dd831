"""What all assets have in common: their declaration, the run of their step, and its run record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from time import monotonic
from typing import Any

import dagster as dg

from assets.metadata import column_schema, report_metadata
from assets.partitions import BACKFILL, SESSIONS
from closingbell.batch.report import StepReport
from closingbell.batch.steps import Step, step_named, step_names
from closingbell.errors import ClosingBellError
from closingbell.install import runtime
from closingbell.operations.jobs import JobType
from closingbell.operations.planning import format_range
from closingbell.repositories import run_records
from closingbell.repositories.database import Database
from closingbell.repositories.run_records import RunRecord
from resources import Market, Warehouse
from resources.jobs import trigger_of, types_of

logger = logging.getLogger("closingbell.steps")

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For transient failures: a provider that is down, a database that restarts. Permanent failures are not retried."""

GROUPS = {JobType.SYMBOL_BATCH: "symbols", JobType.PORTFOLIO_REFRESH: "portfolios"}
OWNERS = {JobType.SYMBOL_BATCH: "team:market-data", JobType.PORTFOLIO_REFRESH: "team:portfolio-analytics"}

Materialized = dg.MaterializeResult[Any]


def step_asset(
    *, code_version: str, deps: Sequence[dg.AssetsDefinition] = ()
) -> Callable[[Callable[..., Materialized]], dg.AssetsDefinition]:
    """Declare a function as the asset of the step with its name; in its pool, runs of one job type take turns.

    Parameters
    ----------
    code_version : str
        Change it when the same inputs give other rows; Dagster then shows older partitions as stale.
    deps : sequence of AssetsDefinition
        The assets whose tables the step reads.
    """

    def declare(function: Callable[..., Materialized]) -> dg.AssetsDefinition:
        step = step_named(function.__name__)
        group = GROUPS[step.job]
        return dg.asset(
            deps=deps,
            partitions_def=SESSIONS,
            backfill_policy=BACKFILL,
            group_name=group,
            pool=step.job.value,
            retry_policy=RETRIES,
            kinds={"python", "postgres"},
            owners=[OWNERS[step.job]],
            tags={"domain": group, "job": step.job.value},
            code_version=code_version,
            metadata={"dagster/table_name": step.table, "dagster/column_schema": column_schema(step.table)},
        )(function)

    return declare


def run_step(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    market: Market,
    prepare: Callable[[], None] = lambda: None,
) -> Materialized:
    """Run the asset's step for the partitions of this run and turn its report into a materialization.

    Parameters
    ----------
    prepare : callable
        Work that belongs to the step and precedes it.

    Raises
    ------
    dagster.Failure
        If the step fails. It is not retried if the failure is permanent, as when a session has not closed yet.
    """
    step = step_named(context.asset_key.to_user_string())
    sessions = [date.fromisoformat(key) for key in context.partition_keys]
    job_type = next(job for job in types_of(context.run) if step.name in step_names(job))
    _require_closed(sessions, market)
    database, record = warehouse.open(), RunRecord(job_type, sessions, context.run.run_id)
    with database.transaction() as connection:
        run_records.begin(connection, record, trigger_of(context.run.tags), runtime.now())
    report, elapsed = _timed(step, market, database, record, prepare)
    with database.transaction() as connection:
        run_records.record_step(
            connection, record, step=step.name, duration_ms=elapsed, items=report.items, failed=report.failed
        )
        run_records.finish(connection, record, runtime.now(), steps=_requested_steps(context, job_type))
    for session, rows in report.rows_per_session.items():
        context.add_asset_metadata({"dagster/partition_row_count": rows}, partition_key=session.isoformat())
    return dg.MaterializeResult(metadata=report_metadata(report, elapsed))


def _timed(
    step: Step, market: Market, database: Database, record: RunRecord, prepare: Callable[[], None]
) -> tuple[StepReport, int]:
    """Run the step and log it; on failure close the run record. Return the report and the milliseconds it took."""
    logger.info("V2_BATCH_STEP step=%s status=started sessions=%s", step.name, _span(record.sessions))
    began = monotonic()
    try:
        prepare()
        report = step.run(database, record.sessions, market.step_inputs())
    except Exception as error:
        elapsed = round((monotonic() - began) * 1000)
        logger.error("V2_BATCH_STEP step=%s status=failed duration_ms=%d", step.name, elapsed)  # noqa: TRY400
        with database.transaction() as connection:
            run_records.fail(connection, record, runtime.now(), str(error), step=step.name)
        if isinstance(error, ClosingBellError):
            raise dg.Failure(str(error), allow_retries=error.transient) from error
        raise
    elapsed = round((monotonic() - began) * 1000)
    logger.info(
        "V2_BATCH_STEP step=%s status=completed duration_ms=%d items=%d failed=%d",
        step.name,
        elapsed,
        report.items,
        len(report.failed),
    )
    return report, elapsed


def _require_closed(sessions: Sequence[date], market: Market) -> None:
    latest = market.latest_session()
    if sessions[-1] > latest:
        raise dg.Failure(
            f"{sessions[-1]} has not closed yet, or the provider does not have it: the latest session is {latest}. "
            "Choose partitions up to that one",
            allow_retries=False,
        )


def _span(sessions: Sequence[date]) -> str:
    return format_range(sessions).replace(" to ", "..")


def _requested_steps(context: dg.AssetExecutionContext, job_type: JobType) -> list[str]:
    """Return the steps of this job type that the run materializes."""
    selected = {node.name for node in context.job_def.nodes}
    return [name for name in step_names(job_type) if name in selected]

"""What all assets have in common: run one step of the batch, keep its story, and show people what it did."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from time import monotonic
from typing import Any

import dagster as dg

from assets.partitions import BACKFILL, SESSIONS
from closingbell.batch.report import StepReport
from closingbell.errors import ClosingBellError
from closingbell.install import runtime
from closingbell.operations.jobs import STEPS, JobType
from closingbell.repositories import run_records
from closingbell.repositories.database import Database
from closingbell.repositories.run_records import RunRecord
from resources.market import Market
from resources.tracker import trigger_of, types_of
from resources.warehouse import Warehouse

logger = logging.getLogger("closingbell.steps")

FRESHNESS_JOB = "freshness"

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For what can pass: a provider that is down, a database that restarts. Permanent failures say so."""

MAX_SHOWN = 50

Materialized = dg.MaterializeResult[Any]
Step = Callable[[Database, Sequence[date]], StepReport]


def _batch_asset(group_name: str, pool: str, deps: Sequence[dg.AssetsDefinition] = ()) -> Callable[[Any], Any]:
    """Declare an asset of the batch; runs that share a pool take turns."""
    return dg.asset(
        deps=deps,
        partitions_def=SESSIONS,
        backfill_policy=BACKFILL,
        group_name=group_name,
        pool=pool,
        retry_policy=RETRIES,
        kinds={"python", "postgres"},
    )


symbol_asset = partial(_batch_asset, group_name="symbols", pool=JobType.SYMBOL_BATCH.value)
portfolio_asset = partial(_batch_asset, group_name="portfolios", pool=JobType.PORTFOLIO_REFRESH.value)


def run_step(context: dg.AssetExecutionContext, warehouse: Warehouse, market: Market, step: Step) -> Materialized:
    """Run one step for the partitions of this run and turn its report into a materialization.

    Raises
    ------
    dagster.Failure
        If the step fails; not to be retried when a setting is wrong or a session has not closed yet.
    """
    sessions = [date.fromisoformat(key) for key in context.partition_keys]
    name = context.asset_key.to_user_string()
    job_type = next(job for job in types_of(context.run) if name in STEPS[job])
    _require_closed(sessions, market)
    database, record = warehouse.open(), RunRecord(job_type, sessions, context.run.run_id)
    with database.transaction() as connection:
        run_records.begin(connection, record, trigger_of(context.run.tags), runtime.now())
    report, elapsed = _timed(name, step, database, record)
    with database.transaction() as connection:
        run_records.record_step(
            connection, record, step=name, duration_ms=elapsed, items=report.items, failed=report.failed
        )
        run_records.finish(connection, record, runtime.now(), steps=_steps(context, job_type))
    for session, rows in report.rows_per_session.items():
        context.add_asset_metadata({"dagster/partition_row_count": rows}, partition_key=session.isoformat())
    return dg.MaterializeResult(metadata=_metadata(report, elapsed))


def _timed(name: str, step: Step, database: Database, record: RunRecord) -> tuple[StepReport, int]:
    """Run the step, tell the log, and on failure the history; return its report and the milliseconds it took."""
    logger.info("V2_BATCH_STEP step=%s status=started sessions=%s", name, _span(record.sessions))
    began = monotonic()
    try:
        report = step(database, record.sessions)
    except Exception as error:
        elapsed = round((monotonic() - began) * 1000)
        logger.error("V2_BATCH_STEP step=%s status=failed duration_ms=%d", name, elapsed)  # noqa: TRY400
        with database.transaction() as connection:
            run_records.fail(connection, record, runtime.now(), str(error), step=name)
        if isinstance(error, ClosingBellError):
            raise dg.Failure(str(error), allow_retries=error.transient) from error
        raise
    elapsed = round((monotonic() - began) * 1000)
    logger.info(
        "V2_BATCH_STEP step=%s status=completed duration_ms=%d items=%d failed=%d",
        name,
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
    return str(sessions[0]) if len(sessions) == 1 else f"{sessions[0]}..{sessions[-1]}"


def _steps(context: dg.AssetExecutionContext, job_type: JobType) -> list[str]:
    """Return the steps of this job type that this run has been asked for."""
    asked = {node.name for node in context.job_def.nodes}
    return [step for step in STEPS[job_type] if step in asked]


def _metadata(report: StepReport, elapsed: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/table_name": report.table,
        "dagster/row_count": report.rows,
        "items": report.items,
        "failed": len(report.failed),
        "duration_ms": elapsed,
        **report.notes,
    }
    if report.coverage is not None:
        metadata["coverage"] = round(report.coverage, 6)
    for title, reasons in (("failures", report.failed), ("warnings", report.warnings)):
        if reasons:
            metadata[title] = dg.MetadataValue.md(_reasons_table(reasons))
    if report.sample:
        metadata["sample"] = dg.MetadataValue.md(markdown_table(report.sample))
    return metadata


def _reasons_table(reasons: Mapping[str, str]) -> str:
    shown = [{"item": item, "reason": reason} for item, reason in list(reasons.items())[:MAX_SHOWN]]
    more = len(reasons) - len(shown)
    return markdown_table(shown) + (f"\n\nand {more} more" if more > 0 else "")


def markdown_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Lay rows out as a table in Markdown."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([_cell(row[name]) for name in header] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return "unknown" if value is None else str(value).replace("|", "\\|").replace("\n", " ")

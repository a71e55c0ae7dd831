"""What the Dagster UI shows of a materialization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from closingbell.batch.report import StepReport
from closingbell.repositories import catalog

MAX_SHOWN = 50


def column_schema(table: str) -> dg.TableSchema:
    """Return the columns of a table as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                column.description,
                dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in catalog.columns_of(table)
        ]
    )


def report_metadata(report: StepReport, elapsed_ms: int) -> dict[str, Any]:
    """Return what a step reports as the metadata of its materialization."""
    metadata: dict[str, Any] = {
        "dagster/table_name": report.table,
        "dagster/row_count": report.rows,
        "items": report.items,
        "failed": len(report.failed),
        "duration_ms": elapsed_ms,
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
    """Format rows as a Markdown table."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([_cell(row[name]) for name in header] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return "unknown" if value is None else str(value).replace("|", "\\|").replace("\n", " ")

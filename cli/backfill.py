"""Materialize partitions through Dagster in this process, with progress."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from assets.partitions import SESSIONS_PER_RUN
from closingbell.batch.steps import step_names
from closingbell.errors import BatchError
from closingbell.operations.jobs import JobType
from definitions import defs
from resources.jobs import TRIGGER_TAG, range_tags


@dataclass(frozen=True)
class Outcome:
    """The runs of a backfill, and the checks that failed."""

    runs: list[str]
    failed_checks: list[str]


def backfill(jobs: Sequence[JobType], sessions: Sequence[date], console: Console) -> Outcome:
    """Materialize every asset of the jobs for a range of sessions, in runs of a quarter each.

    Raises
    ------
    BatchError
        If a run fails; the message has the step and the reason.
    """
    spans = [sessions[start : start + SESSIONS_PER_RUN] for start in range(0, len(sessions), SESSIONS_PER_RUN)]
    outcome = Outcome([], [])
    steps = sum(len(step_names(name)) for name in jobs) * len(spans)
    with dg.DagsterInstance.get() as instance, _progress(console, steps):
        for name in jobs:
            for span in spans:
                _run(instance, name, span, outcome)
    return outcome


def _run(instance: dg.DagsterInstance, name: JobType, span: Sequence[date], outcome: Outcome) -> None:
    result = defs.resolve_job_def(name.value).execute_in_process(
        instance=instance,
        tags={**range_tags(span), TRIGGER_TAG: "command line"},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    outcome.runs.append(result.run_id)
    checks = {str(check.check_name): check for check in result.get_asset_check_evaluations() if not check.passed}
    outcome.failed_checks.extend(f"{name} ({span[0]} to {span[-1]})" for name in checks)
    if not result.success:
        failures = [event for event in result.all_node_events if event.is_step_failure]
        reasons = [
            str(event.step_failure_data.user_failure_data.description)
            if event.step_failure_data.user_failure_data
            else str(event.step_failure_data.error_display_string).splitlines()[0]
            for event in failures
        ]
        step = failures[0].step_key if failures else name
        raise BatchError(
            f"{step} failed for {span[0]} to {span[-1]}: {reasons[0] if reasons else 'see the run'}",
            f"Its log is run {result.run_id} in the Dagster UI (`closingbell up`); run the command again to continue",
        )


class _StepProgress(logging.Handler):
    """Advances the progress bar with the log lines of the steps."""

    _line = re.compile(r"V2_BATCH_STEP step=(\S+) status=(\S+)(?: sessions=(\S+))?")

    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__(logging.INFO)
        self._progress = progress
        self._task = progress.add_task("starting", total=steps)

    def emit(self, record: logging.LogRecord) -> None:
        """Show the running step, and count the completed ones."""
        line = self._line.search(record.getMessage())
        if line and line[2] == "started":
            self._progress.update(self._task, description=f"{line[1]} {line[3]}")
        elif line and line[2] == "completed":
            self._progress.advance(self._task)


@contextmanager
def _progress(console: Console, steps: int) -> Iterator[None]:
    columns = (TextColumn("{task.description:<48}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    logger = logging.getLogger("closingbell")
    with Progress(*columns, console=console) as progress:
        handler = _StepProgress(progress, steps)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

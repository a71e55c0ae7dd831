"""Starts jobs through Dagster's webserver, one of each type at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import dagster as dg

from closingbell.errors import ClosingBellError
from closingbell.install.settings import load_settings
from closingbell.operations.jobs import JobRunningError, JobType, require_available
from closingbell.repositories import locks
from closingbell.repositories.database import Database
from resources.jobs import TRIGGER_TAG, JobReader, range_tags

LOCATION = "closingbell"
"""The code location, as workspace.yaml names it."""

Launch = Callable[[JobType, Mapping[str, str]], str]
"""Launches a job with tags; returns the run's id."""


class JobTracker(JobReader):
    """Reports which jobs run, and starts jobs.

    Parameters
    ----------
    instance : DagsterInstance
    database : Database
        Its locks let concurrent callers of `start_job` take turns.
    launch : callable
        Launches a job.
    """

    def __init__(self, instance: dg.DagsterInstance, database: Database, launch: Launch) -> None:
        super().__init__(instance)
        self._database = database
        self._launch = launch

    def start_job(self, job_type: JobType, sessions: Sequence[date] = (), trigger: str = "tracker") -> str:
        """Start a job for a range of sessions; return its run id.

        Raises
        ------
        ConfigurationError
            If the mode does not have the job.
        JobRunningError
            If a job of the type is active already, even if a concurrent caller has only just started it.
        """
        require_available(job_type, load_settings().mode)
        with self._database.transaction(lock=locks.job_start(job_type)):
            active = self.active_job(job_type)
            if active is not None:
                raise JobRunningError(active.type, active.run_id)
            return self._launch(job_type, {TRIGGER_TAG: trigger, **range_tags(sessions)})


def open_tracker(database: Database, webserver_port: int) -> JobTracker:
    """Return the tracker of this install, which launches jobs through its webserver."""
    return JobTracker(dg.DagsterInstance.get(), database, launcher("127.0.0.1", webserver_port))


def launcher(host: str, port: int) -> Launch:
    """Return a function that launches jobs through Dagster's webserver.

    The function raises `ClosingBellError` when the webserver cannot be reached or refuses.
    """

    def launch(job_type: JobType, tags: Mapping[str, str]) -> str:
        # Imported here, since only launching a job needs it.
        from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError  # noqa: PLC0415

        try:
            client = DagsterGraphQLClient(host, port_number=port)
            try:
                return client.submit_job_execution(job_type.value, tags=dict(tags))
            except DagsterGraphQLClientError:
                # The webserver does not restart its code server when that has died.
                client.reload_repository_location(LOCATION)
                return client.submit_job_execution(job_type.value, tags=dict(tags))
        except (DagsterGraphQLClientError, OSError) as error:
            raise ClosingBellError(
                f"Dagster has not started {job_type}: {error}", "Check that `closingbell up` is running"
            ) from error

    return launch

"""The portfolios of one owner: upload, rename, delete, calculate."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from time import monotonic
from typing import Protocol

from closingbell.accounts.positions import OwnPosition
from closingbell.accounts.snapshots import WRITE_TIMEOUT, write_now
from closingbell.accounts.uploading import Upload, Uploaded, account_exists, store_upload
from closingbell.batch.onboarding import write_portfolios
from closingbell.errors import ClosingBellError
from closingbell.ledger.uploads import check_form
from closingbell.market.calendar import SessionCalendar
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.repositories import accounts, factors
from closingbell.repositories.database import Database

logger = logging.getLogger("closingbell.onboarding")


class StartJob(Protocol):
    """Starts a job for sessions and returns its run id."""

    def __call__(self, job_type: JobType, sessions: Sequence[date], trigger: str) -> str:
        """Start the job, or raise `ClosingBellError`."""


class OwnPortfolios:
    """Commands on the portfolios of one owner.

    Parameters
    ----------
    database : Database
    calendar : SessionCalendar
    owner : str
    """

    def __init__(self, database: Database, calendar: SessionCalendar, owner: str) -> None:
        self._database = database
        self._calendar = calendar
        self._owner = owner

    def upload(self, upload: Upload, *, today: date, latest: date) -> Uploaded:
        """Store a portfolio, request the symbols that the plant does not know, and write the first snapshot.

        Parameters and errors are those of `closingbell.accounts.uploading.store_upload`.
        """
        began = monotonic()
        with self._database.transaction() as connection:
            stored = store_upload(connection, self._calendar, self._owner, upload, today=today, latest=latest)
        if not stored.repeated:
            write_now(self._database, self._calendar, stored.portfolio_id)
        elapsed = (monotonic() - began) * 1000
        logger.info("V2_ONBOARDING step=upload symbol=- portfolio_id=%d duration_ms=%d", stored.portfolio_id, elapsed)
        return stored

    def start_batch(self, portfolio_id: int, start: StartJob, *, mode: Mode, latest: date) -> None:
        """Start the combined batch if it has to onboard symbols of a portfolio.

        If the batch cannot start, this is only logged: the nightly batch will onboard the symbols.

        Parameters
        ----------
        start : callable
            Starts a job.
        mode : Mode
            With instant onboarding no batch is needed.
        latest : date
            The newest session that has closed. The batch computes it only while no session has been computed; later
            it computes the newest computed session again.
        """
        if mode is Mode.INSTANT:
            return
        with self._database.transaction() as connection:
            held = accounts.positions(connection, self._owner, portfolio_id)
            session = factors.newest_session(connection) or latest
        if not any(position.requested for position in held):
            return
        try:
            start(JobType.DAILY_BATCH, [session], trigger="upload")
        except ClosingBellError as error:
            logger.warning("the upload could not start %s: %s", JobType.DAILY_BATCH, error)

    def rename(self, portfolio_id: int, changes: Mapping[str, str | None], *, today: date) -> None:
        """Change name, account name or account type of a portfolio, by the rules of the upload form.

        Parameters
        ----------
        changes : mapping of str to str or None
            By field: ``name``, ``account_name``, ``account_type``; the others stay.
        today : date

        Raises
        ------
        NotFoundError
            If the owner has no such portfolio.
        RejectedError
            If a field is wrong, or the owner has another account of that name (ERR_PORT_001).
        """
        with self._database.transaction() as connection:
            account = accounts.require(connection, self._owner, portfolio_id)
            form = check_form(
                portfolio_name=changes.get("name", account.name),
                account_name=changes.get("account_name", account.account_name),
                account_type=changes.get("account_type", account.account_type),
                equity_balance=str(account.equity_balance),
                inception_date=None,
                today=today,
            )
            columns = {"name": form.name, "account_name": form.account_name, "account_type": form.account_type}
            if not accounts.rename(connection, self._owner, portfolio_id, columns):
                raise account_exists(form.account_name)

    def delete(self, portfolio_id: int) -> None:
        """Delete a portfolio, or raise `NotFoundError`; its account's name can be used again."""
        with self._database.transaction() as connection:
            if not accounts.delete(connection, self._owner, portfolio_id):
                raise accounts.no_portfolio(portfolio_id)

    def calculate(self, portfolio_id: int) -> None:
        """Write all snapshots of a portfolio again.

        Raises
        ------
        NotFoundError
            If the owner has no such portfolio.
        BusyError
            If the batch is writing portfolios.
        """
        with self._database.transaction() as connection:
            accounts.require(connection, self._owner, portfolio_id)
        write_portfolios(self._database, self._calendar, [portfolio_id], WRITE_TIMEOUT)

    def position(self, portfolio_id: int, position_id: int) -> OwnPosition:
        """Return a position to change; its commands raise `NotFoundError` if the owner has no such position."""
        return OwnPosition(self._database, self._calendar, self._owner, portfolio_id, position_id)

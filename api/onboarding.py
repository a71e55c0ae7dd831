"""Upload a portfolio and follow what becomes of it."""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, File, Form, Header, Response, UploadFile
from pydantic import BaseModel, Field

from api import jobs
from api.context import Calendar, Owner, Today, Warehouse
from api.errors import refusals
from closingbell import accounts
from closingbell.accounts import Progress, State, Uploader
from closingbell.errors import ClosingBellError
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.ledger.uploads import MAX_BYTES, TEMPLATE, Code, RejectedError, check_form, read_positions
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.repositories import factors
from closingbell.repositories.accounts import Snapshot

logger = logging.getLogger("closingbell.onboarding")

router = APIRouter(prefix="/api/v1/onboarding", tags=["onboarding"])


class Valuation(BaseModel):
    """The latest snapshot in short: its session, whether every symbol has a price, and what it amounts to."""

    as_of: date
    status: Literal["complete", "partial"]
    coverage: float = Field(description="Share of the positions with a market price that have one")
    nav: Decimal
    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    daily_pnl: Decimal
    daily_return: float | None


class PhaseOut(BaseModel):
    """A part of the work: how many of its items are done."""

    phase: str
    done: int
    total: int


class FailedSymbol(BaseModel):
    """A symbol that could not be learnt."""

    symbol: str
    reason: str


class OnboardingStatus(BaseModel):
    """How far the plant is with a portfolio. It is never called completed unless its snapshot says so."""

    portfolio_id: int
    status: State
    mode: Mode
    percent: int
    phases: list[PhaseOut]
    known: list[str] = Field(description="Symbols that the plant follows")
    pending: list[str] = Field(description="Symbols that are being learnt; the snapshot leaves them out until then")
    private: list[str] = Field(description="Assets without a market price")
    failed: list[FailedSymbol]
    snapshot: Valuation | None


class Created(OnboardingStatus):
    """The portfolio that was made of an upload."""

    positions: int
    repeated: bool = Field(description="The same upload had made this portfolio before; nothing was stored again")


EXAMPLE: dict[str, Any] = {
    "portfolio_id": 4,
    "status": "running",
    "mode": "v2_instant",
    "percent": 50,
    "phases": [{"phase": "symbols", "done": 2, "total": 3}, {"phase": "snapshot", "done": 0, "total": 1}],
    "known": ["AAPL", "MSFT"],
    "pending": ["BRK-B"],
    "private": [],
    "failed": [],
    "snapshot": {
        "as_of": "2022-12-28",
        "status": "partial",
        "coverage": 0.6667,
        "nav": "100000.00",
        "cash": "61200.00",
        "long_value": "38800.00",
        "short_value": "0.00",
        "daily_pnl": "0.00",
        "daily_return": 0.0,
    },
    "positions": 3,
    "repeated": False,
}


def _described(progress: Progress) -> dict[str, Any]:
    snapshot = progress.account.snapshot
    return {
        "portfolio_id": progress.account.id,
        "status": progress.status,
        "mode": load_settings().mode,
        "percent": progress.percent,
        "phases": [PhaseOut.model_validate(phase, from_attributes=True) for phase in progress.phases],
        "known": progress.known,
        "pending": progress.pending,
        "private": progress.private,
        "failed": [FailedSymbol(symbol=symbol, reason=reason) for symbol, reason in sorted(progress.failed.items())],
        "snapshot": None if snapshot is None else valuation(snapshot),
    }


def valuation(snapshot: Snapshot) -> Valuation:
    """Return a snapshot in short."""
    names = [name for name in Valuation.model_fields if name != "as_of"]
    return Valuation(as_of=snapshot.session, **{name: getattr(snapshot, name) for name in names})


@router.post(
    "/create-portfolio",
    status_code=HTTPStatus.CREATED,
    responses={
        **refusals(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY),
        201: {"content": {"application/json": {"example": EXAMPLE}}},
        200: {"model": Created, "description": "The same upload again"},
    },
)
def create_portfolio(
    owner: Owner,
    today: Today,
    database: Warehouse,
    calendar: Calendar,
    response: Response,
    tasks: BackgroundTasks,
    *,
    portfolio_name: Annotated[str | None, Form(examples=["Balanced Growth"])] = None,
    account_name: Annotated[str | None, Form(examples=["Joint account"])] = None,
    account_type: Annotated[str | None, Form(examples=["taxable"])] = None,
    equity_balance: Annotated[str | None, Form(examples=["100000.00"])] = None,
    inception_date: Annotated[str | None, Form(examples=["2022-12-28"])] = None,
    file: Annotated[UploadFile | None, File(description="CSV, see /onboarding/csv-template")] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Created:
    """Make a portfolio of a CSV file, all of it or nothing, and value it at once.

    Symbols that the plant does not know are learnt within seconds; until then the snapshot is partial. Sending the same
    file for the same account again, or the same `Idempotency-Key`, answers with what the first request made.
    """
    form = check_form(
        portfolio_name=portfolio_name,
        account_name=account_name,
        account_type=account_type,
        equity_balance=equity_balance,
        inception_date=inception_date,
        today=today,
    )
    content = _content(file)
    uploader = Uploader(owner, hashlib.sha256(content).hexdigest(), idempotency_key)
    positions = read_positions(content, today=today)
    stored = accounts.upload(
        database, calendar, uploader, form, positions, today=today, latest=runtime.latest_session()
    )
    with database.transaction() as connection:
        progress = accounts.progress(connection, owner, stored.portfolio_id, load_settings().mode)
    if progress.pending and load_settings().mode is Mode.COMBINED:
        tasks.add_task(_start_batch, database)
    if stored.repeated:
        response.status_code = HTTPStatus.OK
    return Created(**_described(progress), positions=progress.account.positions, repeated=stored.repeated)


def _content(file: UploadFile | None) -> bytes:
    if file is None:
        raise RejectedError(Code.FILE_MISSING, "the file is missing: send it as the field `file`")
    return file.file.read(MAX_BYTES + 1)


def _start_batch(database: Warehouse) -> None:
    """Start the combined batch, which learns the new symbols; the plant does so by itself if this fails."""
    with database.transaction() as connection:
        session = factors.newest_session(connection) or runtime.latest_session()
    try:
        jobs.tracker().start_job(JobType.DAILY_BATCH, [session], trigger="upload")
    except ClosingBellError as error:
        logger.warning("the upload could not start %s: %s", JobType.DAILY_BATCH, error)


@router.get("/csv-template", response_class=Response, responses={200: {"content": {"text/csv": {"example": TEMPLATE}}}})
def csv_template() -> Response:
    """Download a file to begin with."""
    disposition = {"Content-Disposition": 'attachment; filename="portfolio-template.csv"'}
    return Response(TEMPLATE, media_type="text/csv; charset=utf-8", headers=disposition)


@router.get("/status/{portfolio_id}", responses=refusals(HTTPStatus.NOT_FOUND))
def status(portfolio_id: int, owner: Owner, database: Warehouse) -> OnboardingStatus:
    """Tell how far the plant is with a portfolio."""
    with database.transaction() as connection:
        progress = accounts.progress(connection, owner, portfolio_id, load_settings().mode)
    return OnboardingStatus(**_described(progress))

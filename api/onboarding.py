"""Onboarding: upload a portfolio and follow its progress."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, Header, Response, UploadFile
from pydantic import Field

from api import jobs
from api.context import Own, Portfolios, Today
from api.errors import refusals
from api.schemas import Answer, Valuation
from closingbell.accounts import Upload, UploadForm, read_upload
from closingbell.analytics.progress import OnboardingState
from closingbell.install import runtime
from closingbell.install.settings import load_settings
from closingbell.ledger.uploads import MAX_BYTES, TEMPLATE
from closingbell.operations.mode import Mode

router = APIRouter(prefix="/api/v1/onboarding", tags=["onboarding"])


class PhaseOut(Answer):
    """A phase of the onboarding, and how many of its items are done."""

    phase: str
    done: int
    total: int


class FailedSymbol(Answer):
    """A symbol that could not be onboarded."""

    symbol: str
    reason: str


class OnboardingStatus(Answer):
    """The progress of a portfolio. The status is completed only if the snapshot is complete."""

    portfolio_id: int
    status: OnboardingState
    mode: Mode
    percent: int
    phases: list[PhaseOut]
    known: list[str] = Field(description="Symbols that the plant follows")
    pending: list[str] = Field(description="Symbols that are being onboarded; the snapshot does not include them yet")
    private: list[str] = Field(description="Assets without a market price")
    failed: list[FailedSymbol]
    snapshot: Valuation | None


class Created(OnboardingStatus):
    """The portfolio of an upload."""

    positions: int
    repeated: bool = Field(description="An earlier identical upload created this portfolio; nothing was stored again")


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


def sent_upload(
    today: Today,
    portfolio_name: Annotated[str | None, Form(examples=["Balanced Growth"])] = None,
    account_name: Annotated[str | None, Form(examples=["Joint account"])] = None,
    account_type: Annotated[str | None, Form(examples=["taxable"])] = None,
    equity_balance: Annotated[str | None, Form(examples=["100000.00"])] = None,
    inception_date: Annotated[str | None, Form(examples=["2022-12-28"])] = None,
    file: Annotated[UploadFile | None, File(description="CSV, see /onboarding/csv-template")] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Upload:
    """Return the upload that the request contains."""
    form = UploadForm(portfolio_name, account_name, account_type, equity_balance, inception_date)
    content = None if file is None else file.file.read(MAX_BYTES + 1)
    return read_upload(form, content, idempotency_key, today=today)


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
    upload: Annotated[Upload, Depends(sent_upload)],
    today: Today,
    own: Own,
    portfolios: Portfolios,
    response: Response,
    tasks: BackgroundTasks,
) -> Created:
    """Create a portfolio from a CSV file, either with every row or not at all, and value it at once.

    Symbols that the plant does not know are onboarded within seconds; until then the snapshot is partial. Sending the
    same file for the same account again, or the same `Idempotency-Key`, returns the portfolio of the first request.
    """
    mode, latest = load_settings().mode, runtime.latest_session()
    uploaded = own.upload(upload, today=today, latest=latest)
    tasks.add_task(own.start_batch, uploaded.portfolio_id, jobs.start_job, mode=mode, latest=latest)
    if uploaded.repeated:
        response.status_code = HTTPStatus.OK
    progress = portfolios.progress(uploaded.portfolio_id, mode)
    status = OnboardingStatus.model_validate(progress)
    return Created(**dict(status), positions=progress.positions, repeated=uploaded.repeated)


@router.get("/csv-template", response_class=Response, responses={200: {"content": {"text/csv": {"example": TEMPLATE}}}})
def csv_template() -> Response:
    """Download an example file."""
    disposition = {"Content-Disposition": 'attachment; filename="portfolio-template.csv"'}
    return Response(TEMPLATE, media_type="text/csv; charset=utf-8", headers=disposition)


@router.get("/status/{portfolio_id}", responses=refusals(HTTPStatus.NOT_FOUND))
def status(portfolio_id: int, portfolios: Portfolios) -> OnboardingStatus:
    """Return the progress of a portfolio."""
    return OnboardingStatus.model_validate(portfolios.progress(portfolio_id, load_settings().mode))

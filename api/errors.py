"""Answers to refused requests: problem+json (RFC 9457) with a code, whichever layer raises the error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from closingbell.errors import ClosingBellError, ConfigurationError, ConflictError, NotFoundError
from closingbell.ledger.uploads import RejectedError
from closingbell.operations.jobs import JobRunningError

logger = logging.getLogger("closingbell.api")

STATUSES = {"ERR_PORT_001": HTTPStatus.CONFLICT, "ERR_CSV_001": HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
"""The HTTP status by the code of a refused upload; every other code is 422."""


class Detail(BaseModel):
    """One error, with the row and column of an uploaded file or the field of a form."""

    row: int | None = Field(description="Line of the file; the header is line 1")
    column: str | None
    code: str
    message: str
    value: str | None


class Error(BaseModel):
    """What is wrong: a code for programs, a message for users."""

    code: str
    message: str
    details: list[Detail] = []


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: Error


def refusals(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the error statuses of a route."""
    return {int(status): {"description": status.phrase, "model": Problem} for status in statuses}


def problem(status: int, code: str, message: str, details: Sequence[Detail] = ()) -> JSONResponse:
    """Return the answer to a refused request."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        error=Error(code=code, message=message, details=list(details)),
    )
    return JSONResponse(body.model_dump(), status_code=status, media_type="application/problem+json")


def _rejected(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RejectedError)  # noqa: S101 - registered for this type
    details = [Detail.model_validate(detail, from_attributes=True) for detail in error.details]
    status = STATUSES.get(str(error.code), HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(status, str(error.code), str(error), details)


def _not_found(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.NOT_FOUND, "ERR_NOT_FOUND", str(error))


def _conflict(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConflictError)  # noqa: S101 - registered for this type
    return problem(HTTPStatus.CONFLICT, error.code, str(error))


def _running(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.CONFLICT, "ERR_JOB_RUNNING", str(error))


def _misconfigured(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.BAD_REQUEST, "ERR_NOT_AVAILABLE", str(error))


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "ERR_UNAVAILABLE", str(error))


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    details = [
        Detail(
            row=None,
            column=".".join(str(part) for part in failure["loc"][1:]) or None,
            code="ERR_REQUEST",
            message=str(failure["msg"]),
            value=None,
        )
        for failure in error.errors()
    ]
    message = "; ".join(f"{detail.column}: {detail.message}" for detail in details[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "ERR_REQUEST", message, details)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    answer = problem(error.status_code, f"ERR_HTTP_{error.status_code}", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The path may be logged: it contains the key of a portfolio, but no holdings.
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "ERR_INTERNAL", "the server failed; its log has the reason")


def install(app: FastAPI) -> None:
    """Register the handlers of an application's errors."""
    for kind, handler in (
        (RejectedError, _rejected),
        (NotFoundError, _not_found),
        (ConflictError, _conflict),
        (JobRunningError, _running),
        (ConfigurationError, _misconfigured),
        (ClosingBellError, _unavailable),
        (RequestValidationError, _invalid),
        (HTTPException, _http),
        (Exception, _unexpected),
    ):
        app.add_exception_handler(kind, handler)

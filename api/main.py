"""The application that uvicorn serves."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from api import admin, health
from closingbell.errors import ClosingBellError

app = FastAPI(title="Closing Bell", description="Reads what the nightly batch materialized.", version="1")
app.include_router(health.router)
app.include_router(admin.router, prefix="/api/v1")


@app.exception_handler(ClosingBellError)
def explain(_request: Request, error: ClosingBellError) -> JSONResponse:
    """Answer a failure that is not the caller's as problem+json."""
    return JSONResponse(
        {"type": "about:blank", "title": "Service unavailable", "status": 503, "detail": str(error)},
        status_code=503,
        media_type="application/problem+json",
    )

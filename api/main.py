"""The application that uvicorn serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool

from api import admin, errors, health, onboarding, portfolios, positions
from api.limits import BodyLimit
from api.requests import RequestLog
from closingbell.install import runtime


@asynccontextmanager
async def warmed(_app: FastAPI) -> AsyncIterator[None]:
    """Load what the first upload would otherwise wait for."""
    await run_in_threadpool(runtime.trading_calendar)
    await run_in_threadpool(runtime.latest_session)
    yield


app = FastAPIOffline(
    lifespan=warmed,
    title="Closing Bell",
    version="1",
    description="Upload portfolios and read what the nightly batch materialized. Amounts of money are decimal "
    "strings, unknown values are null, and every valuation has its session (`as_of`) and its coverage.",
)
for module in (health, onboarding, portfolios, positions, admin):
    app.include_router(module.router)
errors.install(app)
app.add_middleware(BodyLimit)
app.add_middleware(RequestLog)

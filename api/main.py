"""The application that uvicorn serves."""

from __future__ import annotations

from fastapi import FastAPI

from api import admin, errors, health, onboarding, portfolios
from api.limits import BodyLimit
from api.requests import RequestLog

app = FastAPI(
    title="Closing Bell",
    version="1",
    description="Upload portfolios and read what the nightly batch materialized. Money is a decimal string, unknown is "
    "null, and every valuation says its session (`as_of`) and its coverage.",
)
for each in (health, onboarding, portfolios, admin):
    app.include_router(each.router)
errors.install(app)
app.add_middleware(BodyLimit)
app.add_middleware(RequestLog)

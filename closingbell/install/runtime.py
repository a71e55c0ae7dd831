"""The plant's shared objects, made from the settings once per process: database, provider, calendar, clock."""

from __future__ import annotations

import atexit
from datetime import UTC, date, datetime
from functools import cache

from closingbell.install.postgres import EmbeddedPostgres
from closingbell.install.settings import Settings, load_settings
from closingbell.market.calendar import SessionCalendar
from closingbell.providers import provider_named
from closingbell.providers.base import MarketDataProvider
from closingbell.repositories.database import Database, dagster_url, dagster_url_beside

WAREHOUSE = "closingbell"
"""The product's database in the embedded server; Dagster's is named after it."""

YEARS_AHEAD = 2


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """Return the install's own PostgreSQL server, without starting it."""
    return EmbeddedPostgres(settings.home / "postgres")


@cache
def _embedded_in_use() -> EmbeddedPostgres:
    server = embedded_server(load_settings())
    server.acquire()
    atexit.register(server.release)
    return server


def revive_embedded(settings: Settings) -> bool:
    """Restart the embedded server if it has died; return whether it was restarted."""
    return settings.database_url is None and _embedded_in_use().revive()


def lease_descriptors(settings: Settings) -> tuple[int, ...]:
    """Return the file descriptors that keep the embedded server running while a child process inherits them."""
    if settings.database_url is not None:
        return ()
    descriptor = _embedded_in_use().lease_descriptor()
    return () if descriptor is None else (descriptor,)


def warehouse_url(settings: Settings) -> str:
    """Return the URL of the product's database; the embedded server is started and kept until this process ends."""
    if settings.database_url is not None:
        return settings.database_url
    return _embedded_in_use().url(WAREHOUSE)


def dagster_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's own database, in the form that Dagster needs."""
    if settings.dagster_database_url is not None:
        return dagster_url(settings.dagster_database_url)
    return dagster_url_beside(warehouse_url(settings))


@cache
def open_database() -> Database:
    """Return the product's database."""
    return Database(warehouse_url(load_settings()))


@cache
def open_provider() -> MarketDataProvider:
    """Return the market-data provider that the settings name."""
    return provider_named(load_settings().provider)


@cache
def trading_calendar() -> SessionCalendar:
    """Return the calendar; its last day changes once a year, so that the partitions do not change daily."""
    return SessionCalendar(date(now().year + YEARS_AHEAD, 12, 31), load_settings().extra_closures)


def now() -> datetime:
    """Return the time of the wall clock in UTC; assets and calculations do not use it."""
    return datetime.now(UTC)


def planning_now() -> datetime:
    """Return the time that sensors plan by: the clock of the settings, or else the wall clock."""
    return load_settings().clock or now()


def latest_session(moment: datetime | None = None) -> date:
    """Return the newest session that has closed by a moment (default: now) and that the provider has."""
    return open_provider().latest_session(trading_calendar().target_session(moment or now()))

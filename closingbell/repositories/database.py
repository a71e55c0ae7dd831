"""Connections, transactions, advisory locks and leases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from closingbell.errors import DatabaseError
from closingbell.repositories import locks

__all__ = [
    "Connection",
    "Database",
    "backend_of",
    "dagster_url",
    "dagster_url_beside",
    "driver",
    "ensure_year_partitions",
    "take_lock",
    "warehouse_url",
]

CONNECT_TIMEOUT_SECONDS = 10

LEASE_CHECK_SECONDS = 1
"""How often a process makes sure that it still holds its leases."""


def warehouse_url(url: str | URL) -> URL:
    """Return any form of PostgreSQL URL with the driver that this product uses."""
    return _postgresql(url).set(drivername="postgresql+psycopg")


def dagster_url(url: str | URL) -> str:
    """Return the URL with the driver that Dagster's storage needs.

    Storing an event sends ``NOTIFY`` with a bound parameter, which works with psycopg2 only; and SQLAlchemy 2.1 reads
    a bare ``postgresql://`` as psycopg 3.
    """
    return _postgresql(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def dagster_url_beside(url: str | URL) -> str:
    """Return the URL of the database named ``<name>_dagster`` on the same server."""
    ours = _postgresql(url)
    return dagster_url(ours.set(database=f"{ours.database}_dagster"))


def backend_of(url: str) -> str:
    """Return the name of the database system of a URL, such as ``postgresql``."""
    try:
        return _postgresql(url).get_backend_name()
    except ArgumentError:
        return "something unreadable"


def _postgresql(url: str | URL) -> URL:
    return make_url(url.replace("postgres://", "postgresql://", 1) if isinstance(url, str) else url)


class Database:
    """The warehouse.

    Parameters
    ----------
    url : str or URL
        Any PostgreSQL URL.
    """

    def __init__(self, url: str | URL) -> None:
        self.url = warehouse_url(url)
        self._engine = _engine(self.url)
        self._autocommit = _engine(self.url, isolation_level="AUTOCOMMIT")
        self._maintenance = _engine(self.url.set(database="postgres"))

    def address(self) -> str:
        """Return the URL for programs of PostgreSQL, without the password."""
        # `URL.set` ignores None, so it cannot remove the password.
        return self.url._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)

    @contextmanager
    def transaction(self, lock: str | tuple[str, ...] = ()) -> Iterator[Connection]:
        """Open a transaction that holds the advisory locks of these names; wait until they are free.

        Raises
        ------
        DatabaseError
            If the server cannot be reached.
        """
        with self._connect(self._engine) as connection, connection.begin():
            for name in (lock,) if isinstance(lock, str) else lock:
                take_lock(connection, name)
            yield connection

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """Open a connection that commits each statement."""
        with self._connect(self._autocommit) as connection:
            yield connection

    @contextmanager
    def lease(self, name: str) -> Iterator[None]:
        """Hold a name while the block runs; the server also frees it when this process dies for any reason.

        A restart of the server frees the name too. It is then taken again, unless another process has taken it.
        """
        with self.session() as connection:
            connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": name})
            ended = threading.Event()
            keeper = threading.Thread(target=_keep_lock, args=(connection, name, ended), daemon=True)
            keeper.start()
            try:
                yield
            finally:
                ended.set()
                keeper.join()
                connection.invalidate()  # frees the name; closing would fail if the server has stopped

    def is_leased(self, name: str) -> bool:
        """Return whether any process holds a name."""
        query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        with self.transaction() as connection:
            return not connection.execute(query, {"name": name}).scalar_one()

    def exists(self) -> bool:
        """Return whether the server has this database, or raise `DatabaseError` if it cannot be reached."""
        with self._connect(self._maintenance) as connection:
            return self._exists_on(connection)

    def create(self) -> None:
        """Create the database unless it exists.

        Raises
        ------
        DatabaseError
            If the server cannot be reached, or the user may not create databases.
        """
        with self._connect(self._maintenance) as connection:
            if not self._exists_on(connection):
                connection.execution_options(isolation_level="AUTOCOMMIT")
                name = connection.dialect.identifier_preparer.quote(self.url.database or "")
                try:
                    connection.execute(text(f"CREATE DATABASE {name}"))
                except ProgrammingError as error:
                    raise DatabaseError(
                        f"cannot create the database {self.url.database}: {str(error.orig).strip()}",
                        "Create it beforehand, or give the user the right to create databases",
                    ) from error

    def _exists_on(self, connection: Connection) -> bool:
        query = text("SELECT 1 FROM pg_database WHERE datname = :name")
        known = connection.execute(query, {"name": self.url.database}).scalar() is not None
        connection.rollback()
        return known

    @staticmethod
    def _connect(engine: Engine) -> Connection:
        try:
            return engine.connect()
        except OperationalError as error:
            where = engine.url.render_as_string(hide_password=True)
            cause = str(error.orig).strip().splitlines()[-1] if error.orig else str(error)
            raise DatabaseError(
                f"cannot reach the database {where}: {cause}",
                "Check DATABASE_URL and that the server is up, or unset it to use the embedded PostgreSQL",
            ) from error


def _engine(url: URL, **options: str) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,  # a batch holds few connections for long; a pool would only keep idle ones open
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
        **options,
    )


def _keep_lock(connection: Connection, name: str, ended: threading.Event) -> None:
    """Take the lock again at intervals until the lease ends, since it is lost when the connection breaks."""
    query = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
    while not ended.wait(LEASE_CHECK_SECONDS):
        try:
            connection.execute(query, {"name": name})
        except DBAPIError:
            connection.rollback()  # the next statement connects again


def take_lock(connection: Connection, name: str, *, shared: bool = False) -> None:
    """Wait for an advisory lock and hold it until the transaction ends; transactions that share it may run together."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": name})


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return psycopg's connection below SQLAlchemy's, for COPY."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - narrows the type; the URL's driver is ours
    return raw


def ensure_year_partitions(connection: Connection, table: str, first_year: int, last_year: int) -> None:
    """Create the yearly partitions of a fact table that do not exist yet."""
    existing = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)")
    known = set(connection.execute(existing, {"table": table}).scalars())
    for year in range(first_year, last_year + 1):
        if f"{table}_{year}" not in known:
            # Runs of different sessions may need the same year at once: the lock lets one of them create it.
            take_lock(connection, locks.year_partitions(table))
            connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {table}_{year} PARTITION OF {table} "
                    f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
                )
            )

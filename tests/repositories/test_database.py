"""Databases are created and reached, and leases are held."""

from __future__ import annotations

from time import monotonic, sleep

import pytest
from sqlalchemy import text

from closingbell.errors import DatabaseError
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.repositories.database import Database


def test_a_database_may_be_created_twice(server: EmbeddedPostgres) -> None:
    twice = Database(server.url("made_twice"))
    assert not twice.exists()
    twice.create()
    twice.create()
    assert twice.exists()


def test_a_lease_is_held_until_its_block_ends(database: Database) -> None:
    assert not database.is_leased("run 1")
    with database.lease("run 1"):
        assert database.is_leased("run 1")
        assert not database.is_leased("run 2")
    assert not database.is_leased("run 1")


def test_a_lease_that_the_server_has_freed_is_taken_again(database: Database) -> None:
    with database.lease("run 1"):
        disconnect_holders(database)
        deadline = monotonic() + 30
        while not database.is_leased("run 1"):
            assert monotonic() < deadline
            sleep(0.05)
    assert not database.is_leased("run 1")


def test_a_lease_may_end_after_the_server_has_freed_it(database: Database) -> None:
    with database.lease("run 1"):
        disconnect_holders(database)


def disconnect_holders(database: Database) -> None:
    """End the connections of all lease holders, as a restart of the server does."""
    query = """
        SELECT pg_terminate_backend(pid, 30000) FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    with database.transaction() as connection:
        assert connection.execute(text(query)).scalars().all() == [True]


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    nowhere = Database("postgresql://user:secret@127.0.0.1:1/closingbell")
    with (
        pytest.raises(DatabaseError, match=r"cannot reach the database .*127\.0\.0\.1") as caught,
        nowhere.transaction(),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)

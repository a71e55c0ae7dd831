"""The tables are what the models say, and the migrations lead there."""

from __future__ import annotations

from time import monotonic, sleep

import pytest
from sqlalchemy import text

from closingbell.errors import DatabaseError
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.repositories import schema
from closingbell.repositories.database import Database, ensure_year_partitions

TABLES = {
    "symbol_universe",
    "market_data_cache",
    "corporate_actions",
    "company_profiles",
    "income_statements",
    "balance_sheets",
    "cash_flows",
    "factor_definitions",
    "symbol_factor_exposures",
    "symbol_daily_metrics",
    "portfolios",
    "positions",
    "equity_changes",
    "portfolio_snapshots",
    "factor_exposures",
    "position_factor_exposures",
    "batch_run_history",
}


def test_the_migrations_lead_to_what_the_models_say(database: Database) -> None:
    with database.transaction() as connection:
        ensure_year_partitions(connection, "market_data_cache", 2001, 2003)
        assert schema.differences(connection) == []


def test_a_table_that_differs_from_its_model_is_noticed(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE portfolios DROP COLUMN name"))
        assert schema.differences(connection) != []


def test_every_table_has_the_name_that_other_programs_know(database: Database) -> None:
    with database.transaction() as connection:
        names = set(connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars())
    assert names >= TABLES


@pytest.mark.parametrize(
    "table", ["market_data_cache", "symbol_factor_exposures", "factor_exposures", "position_factor_exposures"]
)
def test_large_tables_are_partitioned_by_year(database: Database, table: str) -> None:
    with database.transaction() as connection:
        ensure_year_partitions(connection, table, 2020, 2022)
        ensure_year_partitions(connection, table, 2021, 2023)
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table) ORDER BY 1"
        leaves = list(connection.execute(text(query), {"table": table}).scalars())
    assert leaves == [f"{table}_{year}" for year in range(2020, 2024)]


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    schema.upgrade(database)
    with database.transaction() as connection:
        schema.require_current(connection)


def test_a_database_without_tables_says_what_to_do(server: EmbeddedPostgres) -> None:
    empty = Database(server.url("without_tables"))
    empty.create()
    with empty.transaction() as connection, pytest.raises(DatabaseError, match="closingbell init"):
        schema.require_current(connection)


def test_creating_a_database_twice_is_no_error(server: EmbeddedPostgres) -> None:
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


def test_a_lease_may_end_while_it_is_lost(database: Database) -> None:
    with database.lease("run 1"):
        disconnect_holders(database)


def disconnect_holders(database: Database) -> None:
    """Do to the holders of leases what a restart of the server does."""
    query = """
        SELECT pg_terminate_backend(pid, 30000) FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    with database.transaction() as connection:
        assert connection.execute(text(query)).scalars().all() == [True]


def test_an_unreachable_server_is_named_without_its_password() -> None:
    nowhere = Database("postgresql://somebody:secret@127.0.0.1:1/closingbell")
    with (
        pytest.raises(DatabaseError, match=r"cannot reach the database .*127\.0\.0\.1") as caught,
        nowhere.transaction(),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)

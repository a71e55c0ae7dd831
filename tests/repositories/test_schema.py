"""The migrations create the tables of the models."""

from __future__ import annotations

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


def test_the_migrations_create_the_tables_of_the_models(database: Database) -> None:
    with database.transaction() as connection:
        ensure_year_partitions(connection, "market_data_cache", 2001, 2003)
        assert schema.differences(connection) == []


def test_a_table_that_differs_from_its_model_is_detected(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE portfolios DROP COLUMN name"))
        assert schema.differences(connection) != []


def test_the_tables_have_the_names_that_other_programs_use(database: Database) -> None:
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


def test_a_database_without_tables_is_reported_with_the_command_to_run(server: EmbeddedPostgres) -> None:
    empty = Database(server.url("without_tables"))
    empty.create()
    with empty.transaction() as connection, pytest.raises(DatabaseError, match="closingbell init"):
        schema.require_current(connection)

"""Create and upgrade the warehouse's tables."""

from __future__ import annotations

import re
from importlib.resources import files

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from closingbell.errors import DatabaseError
from closingbell.repositories import locks
from closingbell.repositories.database import Database
from closingbell.repositories.tables import PARTITIONED_BY_YEAR, Table


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("closingbell.repositories.migrations")))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())


def upgrade(database: Database) -> None:
    """Upgrade the tables to the newest revision; several processes may call this at once.

    Raises
    ------
    DatabaseError
        If a newer version of the product has upgraded them.
    """
    config = _configuration()
    with database.transaction(lock=locks.MIGRATIONS) as connection:
        config.attributes["connection"] = connection
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision not in {None, *(script.revision for script in _scripts().walk_revisions())}:
            raise DatabaseError(
                f"the tables are of revision {revision}, which this version does not know",
                "Use the version or the branch that upgraded them, or another database",
            )
        command.upgrade(config, "head")


def add_revision(database: Database, message: str) -> None:
    """Write a migration file that changes the database's tables into those of the models."""
    config = _configuration()
    number = int(_scripts().get_current_head() or 0) + 1
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")


def require_current(connection: Connection) -> None:
    """Raise `DatabaseError` unless the tables are at the newest revision."""
    newest = _scripts().get_current_head()
    if MigrationContext.configure(connection).get_current_revision() != newest:
        raise not_initialised()


def not_initialised() -> DatabaseError:
    """Return the error to raise when the tables are missing or old."""
    return DatabaseError("the database has no tables yet, or old ones", "Run `closingbell init`")


def differences(connection: Connection) -> list[object]:
    """Return what a migration would have to change for the tables to equal the models."""
    context = MigrationContext.configure(connection, opts={"include_name": is_ours})
    return list(compare_metadata(context, Table.metadata))


def is_ours(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001 - Alembic's signature
    """Return whether Alembic manages an object: all but the yearly partitions, which are created with the data."""
    return kind != "table" or not any(re.fullmatch(rf"{table}_\d{{4}}", str(name)) for table in PARTITIONED_BY_YEAR)

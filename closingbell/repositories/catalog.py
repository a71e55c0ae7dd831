"""The columns of each table, for display."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.dialects import postgresql

from closingbell.repositories.tables import Table


@dataclass(frozen=True)
class ColumnDescription:
    """A column: its name, its PostgreSQL type, whether a value may be unknown, and what it means."""

    name: str
    type: str
    nullable: bool
    description: str | None


def columns_of(table: str) -> list[ColumnDescription]:
    """Return the columns of a table, in order."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return [
        ColumnDescription(column.name, column.type.compile(dialect=dialect), bool(column.nullable), column.comment)
        for column in Table.metadata.tables[table].columns
    ]

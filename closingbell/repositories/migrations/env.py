"""Alembic's entry: run the migrations on the connection that the caller hands over."""

from alembic import context

from closingbell.repositories.schema import is_ours
from closingbell.repositories.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, include_name=is_ours)
with context.begin_transaction():
    context.run_migrations()

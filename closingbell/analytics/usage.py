"""Use of the API: its requests are stored for the plant's daily figures."""

from __future__ import annotations

from collections.abc import Sequence

from closingbell.repositories import usage
from closingbell.repositories.database import Database
from closingbell.repositories.usage import Request

__all__ = ["Request", "record_requests"]


def record_requests(database: Database, requests: Sequence[Request]) -> None:
    """Store answered requests, or raise `DatabaseError`."""
    with database.transaction() as connection:
        usage.record_requests(connection, requests)

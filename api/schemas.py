"""Schemas and parameters that several routes share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Protocol

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

MOST, PAGE = 500, 100
"""Items of a page: at most, and by default."""

After = Annotated[int, Query(ge=0, description="The last key of the previous page: `next` of its answer")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Items of the page")]


class Answer(BaseModel):
    """A schema that is filled from the attributes of a read model."""

    model_config = ConfigDict(from_attributes=True)


class Valuation(Answer):
    """A summary of the latest snapshot; `as_of` is its session, and complete means that every symbol has a price."""

    as_of: date = Field(validation_alias="session")
    status: Literal["complete", "partial"]
    coverage: float = Field(description="Share of the positions with a market price that have one")
    nav: Decimal
    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    daily_pnl: Decimal
    daily_return: float | None


class Keyed(Protocol):
    """An item of a list that is paged by key."""

    @property
    def id(self) -> int:
        """Return the key."""


def next_key(items: Sequence[Keyed], limit: int) -> int | None:
    """Return the key after which the next page begins, or None on the last page."""
    return items[-1].id if len(items) == limit else None

"""What the symbol steps must have written before portfolios are valued."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from closingbell.errors import BatchError
from closingbell.repositories import factors
from closingbell.repositories.database import Connection


def require_factors(connection: Connection, sessions: Sequence[date]) -> None:
    """Require that the symbol factors of every session are stored.

    Raises
    ------
    BatchError
        If the factors of a session are missing.
    """
    missing = sorted(set(sessions) - factors.sessions_with_estimates(connection, sessions))
    if missing:
        raise BatchError(
            f"the symbol batch has not been computed for {len(missing)} of {len(sessions)} sessions, from {missing[0]}",
            "Materialize symbol_factors for them first",
        )

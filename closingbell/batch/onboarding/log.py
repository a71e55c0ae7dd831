"""The log lines of onboarding."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

logger = logging.getLogger("closingbell.onboarding")


@contextmanager
def logged(step: str, symbols: Sequence[str] = (), portfolio_ids: Sequence[int] = ()) -> Iterator[None]:
    """Log what a step works on, how it ended and how long it took; never the quantities that a portfolio holds."""
    began = monotonic()
    status = "failed"
    try:
        yield
        status = "completed"
    finally:
        logger.info(
            "V2_ONBOARDING step=%s status=%s symbol=%s portfolio_id=%s duration_ms=%d",
            step,
            status,
            ",".join(symbols) or "-",
            ",".join(map(str, portfolio_ids)) or "-",
            (monotonic() - began) * 1000,
        )

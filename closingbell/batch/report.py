"""The report of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from closingbell.arrays import Floats
from closingbell.errors import BatchError, ProviderError

MAX_FAILED_SHARE = 0.5


@dataclass
class StepReport:
    """The outcome of one step over a range of sessions.

    Parameters
    ----------
    table : str
        The table whose rows were written.
    rows : int
        How many rows the range has now.
    items : int
        Symbols or portfolios that the step worked on.
    failed : mapping of str to str
        Items that failed, with the reason.
    warnings : mapping of str to str
        Items that succeeded with a remark.
    rows_per_session : mapping of date to int
    coverage : float or None
        Share of the requested values that are known.
    notes : dict of str to value
        Further facts to show beside the result.
    sample : sequence of mapping
        A small table of results to show beside the result.
    transient_failures : int
        How many of the failures a retry may fix.
    """

    table: str
    rows: int = 0
    items: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    rows_per_session: Mapping[date, int] = field(default_factory=dict)
    coverage: float | None = None
    notes: dict[str, str | int | float] = field(default_factory=dict)
    sample: Sequence[Mapping[str, object]] = ()
    transient_failures: int = 0

    def require_majority(self, population: int) -> StepReport:
        """Return the report unless over half of the population has failed: then the cause is not a single symbol.

        Parameters
        ----------
        population : int
            All items that the step covers, not only those that are due: one bad symbol may be all that is due.

        Raises
        ------
        ProviderError
            If most of the failures are transient.
        BatchError
            If most are not.
        """
        if len(self.failed) > MAX_FAILED_SHARE * population:
            name, reason = next(iter(self.failed.items()))
            kind = ProviderError if self.transient_failures > len(self.failed) / 2 else BatchError
            raise kind(
                f"{len(self.failed)} of {population} items failed, for example {name}: {reason}",
                "Check the provider; the rows that were stored before are unchanged",
            )
        return self


def mean_of_known(values: Floats) -> float | None:
    """Return the mean of the values that are not NaN; None if there is none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None

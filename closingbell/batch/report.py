"""What a step says about the work it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

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
        How many rows the range holds now.
    items : int
        Symbols or portfolios that were worked on.
    failed : mapping of str to str
        Those of them that could not be done, with the reason.
    warnings : mapping of str to str
        Those that were done with something to say about it.
    rows_per_session : mapping of date to int
    coverage : float or None
        Share of the values asked for that are known.
    notes : dict of str to value
        Anything else worth showing.
    sample : sequence of mapping
        A small table for people.
    can_pass : int
        How many of the failures trying again may mend.
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
    can_pass: int = 0

    def require_majority(self, population: int) -> StepReport:
        """Return the report, or raise `BatchError` when over half of all have failed: then the fault is not theirs.

        Parameters
        ----------
        population : int
            All that the step could have to do with. What is due on one night may be a single bad symbol.
        """
        if len(self.failed) > MAX_FAILED_SHARE * population:
            name, reason = next(iter(self.failed.items()))
            kind = ProviderError if self.can_pass > len(self.failed) / 2 else BatchError
            raise kind(
                f"{len(self.failed)} of {population} items failed, for example {name}: {reason}",
                "Check the provider; rows that were good before are untouched",
            )
        return self

"""What one benchmark has found."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field


def peak_megabytes() -> int:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Parameters
    ----------
    what, against : str
        What is measured, and what it is compared with.
    seconds, baseline : float
        How long both took; the baseline is scaled to the same amount of work.
    ratio : str
        The comparison in words: how many times faster, or slower.
    targets : dict of str to bool
        By target: whether it is met.
    megabytes : int
        Peak memory of the process that measured.
    """

    what: str
    against: str
    seconds: float
    baseline: float
    ratio: str
    targets: dict[str, bool] = field(default_factory=dict)
    megabytes: int = field(default_factory=peak_megabytes)


def tell(line: str) -> None:
    """Report progress beside the results."""
    print(line, file=sys.stderr, flush=True)

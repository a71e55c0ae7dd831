"""The result of one benchmark."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field


def peak_megabytes() -> int:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Parameters
    ----------
    what, against : str
        What is measured, and what it is compared with; for display.
    seconds, baseline : float
        Duration of both; the baseline is scaled to the same amount of work.
    ratio : str
        The comparison for display: how many times faster or slower.
    targets : dict of str to bool
        Whether each target is met.
    megabytes : int
        Peak memory of the measuring process, in MiB.
    """

    what: str
    against: str
    seconds: float
    baseline: float
    ratio: str
    targets: dict[str, bool] = field(default_factory=dict)
    megabytes: int = field(default_factory=peak_megabytes)


def report(line: str) -> None:
    """Write a line of progress to the error stream, apart from the results."""
    print(line, file=sys.stderr, flush=True)

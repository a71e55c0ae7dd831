"""Report which symbols lack bars, had bars refused, or had their history revised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from closingbell.arrays import Bools
from closingbell.batch.prices.fetching import Fetched
from closingbell.batch.report import StepReport
from closingbell.market.instruments import Instruments
from closingbell.market.quality import RefusedBar
from closingbell.repositories import prices


def report_prices(
    instruments: Instruments, sessions: Sequence[date], fetched: Fetched, revised: Mapping[int, date], known: Bools
) -> StepReport:
    """Return the report of a range of T sessions.

    Parameters
    ----------
    instruments : Instruments
        N of them.
    sessions : sequence of date, length T
    fetched : Fetched
    revised : mapping of int to date
        By symbol id, since when stored prices have changed.
    known : bool (T, N)
        Whether there is a price now.
    """
    expected = _expected(instruments, sessions)
    failed, warnings = _reasons(instruments, sessions, fetched, known, expected)
    report = StepReport(
        prices.TABLE,
        rows=int(known.sum()),
        items=len(instruments),
        failed=failed,
        warnings=warnings,
        rows_per_session=dict(zip(sessions, known.sum(axis=1).tolist(), strict=True)),
        coverage=float(known[expected].mean()) if expected.any() else None,
        transient_failures=sum(answer.outcome.is_transient for answer in fetched.failed.values()),
        notes={"sources": ", ".join(sorted({bars.source for bars in fetched.bars.values()}))},
    )
    if revised:
        names = {instrument.id: instrument.symbol for instrument in instruments}
        report.notes["revised"] = ", ".join(f"{names[key]} since {day}" for key, day in sorted(revised.items()))
        # Rows that were computed from the old prices may lie before the range, or after it up to the newest price.
        since, until = min(revised.values()), max(end for _, end in fetched.known.values())
        if until > sessions[-1]:
            report.notes["backfill_again"] = f"{since} to {until}"
        elif since < sessions[0]:
            report.notes["backfill_again"] = f"{since} to {sessions[0] - timedelta(days=1)}"
    return report


def _expected(instruments: Instruments, sessions: Sequence[date]) -> Bools:
    """Return where a bar can be expected, shape (T, N): everywhere but after the expiration of a contract."""
    result = np.ones((len(sessions), len(instruments)), dtype=np.bool_)
    days = np.array(sessions, dtype="datetime64[D]")
    for column, instrument in enumerate(instruments):
        if instrument.contract is not None:
            result[:, column] = days <= np.datetime64(instrument.contract.expiration)
    return result


def _reasons(
    instruments: Instruments, sessions: Sequence[date], fetched: Fetched, known: Bools, expected: Bools
) -> tuple[dict[str, str], dict[str, str]]:
    """Return, by symbol, why it has no bar at all in the range, and remarks on the bars of the others."""
    failed, warnings = {symbol: str(answer) for symbol, answer in fetched.failed.items()}, {}
    for column, instrument in enumerate(instruments):
        if instrument.symbol in failed:
            continue
        has, due = known[:, column], expected[:, column]
        # It is normal that a contract does not trade on some days: only one without any bar is worth a remark.
        lacking = due & ~has if instrument.contract is None else due & ~has.any()
        remarks = _remarks(lacking, sessions, fetched.refused[instrument.id].bars)
        if remarks and not has.any():
            failed[instrument.symbol] = remarks
        elif remarks:
            warnings[instrument.symbol] = remarks
    return failed, warnings


def _remarks(lacking: Bools, sessions: Sequence[date], refused: Sequence[RefusedBar]) -> str:
    remarks = []
    if lacking.any():
        missing = [day for day, lacks in zip(sessions, lacking, strict=True) if lacks]
        remarks.append(f"no bar on {len(missing)} of {len(sessions)} sessions, from {missing[0]} to {missing[-1]}")
    counted = Counter(bar.reason for bar in refused)
    remarks += [f"{count} refused: {reason}" for reason, count in sorted(counted.items())]
    return "; ".join(remarks)

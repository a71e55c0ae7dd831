"""Fetch daily bars, keep what can be true, and derive the adjusted closes."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from closingbell.arrays import Bools, Dates, Floats
from closingbell.batch.report import StepReport
from closingbell.errors import ConfigurationError
from closingbell.market.adjustment import adjusted_close, restated
from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instrument, Instruments, Kind
from closingbell.market.quality import RefusedBar, check_bars
from closingbell.providers.base import Answer, MarketDataProvider, Outcome
from closingbell.repositories import locks, prices, universe
from closingbell.repositories.database import Connection, Database

logger = logging.getLogger(__name__)

HISTORY_SESSIONS = 256
"""How far back of the first session prices must reach: to the end of the year before, and years have up to 254."""

OVERLAP_SESSIONS = 5
"""Sessions fetched again before the range, to notice that the provider has restated its history."""

Range = tuple[date, date]
Fetch = Callable[[Sequence[Instrument], date, date], Mapping[str, Answer[Bars]]]


@dataclass
class _Fetched:
    """What the provider answered, by symbol id, after the checks."""

    bars: dict[int, Bars] = field(default_factory=dict)
    refused: dict[int, prices.Refusals] = field(default_factory=dict)
    known: dict[int, Range] = field(default_factory=dict)
    restated: dict[int, date] = field(default_factory=dict)
    failed: dict[str, Answer[Bars]] = field(default_factory=dict)


def refresh_prices(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, calendar: SessionCalendar
) -> StepReport:
    """Bring the bars of all active stocks and funds up to date for a range of sessions."""
    with database.transaction() as connection:
        instruments = universe.active(connection, [Kind.EQUITY, Kind.ETF])
    if not instruments:
        raise ConfigurationError("the universe has no active symbols", "Run `closingbell init`, or upload a portfolio")
    fetch = _fetch_shares(provider)
    return _refresh(database, calendar, instruments, sessions, fetch, lock=locks.PRICES).require_majority(
        len(instruments)
    )


def refresh_option_prices(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, calendar: SessionCalendar
) -> StepReport:
    """Bring the bars of all active option contracts up to date.

    A contract that has expired before the range is asked for once: snapshots rest on prices since their inception.
    """
    with database.transaction() as connection:
        contracts = universe.active(connection, [Kind.OPTION])
    needed = Instruments(item for item in contracts if _is_incomplete(calendar, item, sessions))
    fetch = _fetch_options(provider)
    return _refresh(database, calendar, needed, sessions, fetch, lock=locks.OPTION_PRICES).require_majority(
        len(contracts)
    )


def onboard_prices(
    database: Database,
    instruments: Instruments,
    sessions: Sequence[date],
    *,
    provider: MarketDataProvider,
    calendar: SessionCalendar,
) -> dict[str, Answer[Bars]]:
    """Fetch and store the bars of symbols that are new to the plant, as the batch would; return who failed, and how.

    A symbol without a single bar has failed as well: the provider may know it, but there is nothing to follow. About a
    contract that had expired before all that is needed nothing is asked.
    """
    failed: dict[str, Answer[Bars]] = {}
    shares = Instruments(item for item in instruments if item.contract is None)
    contracts = Instruments(
        item for item in instruments if item.contract is not None and _is_incomplete(calendar, item, sessions)
    )
    for group, fetch, lock in (
        (shares, _fetch_shares(provider), locks.PRICES),
        (contracts, _fetch_options(provider), locks.OPTION_PRICES),
    ):
        if group:
            fetched = _fetch_and_store(database, calendar, group, sessions, fetch, lock)[0]
            failed |= fetched.failed
            bare = (item for item in group if item.id in fetched.bars and not len(fetched.bars[item.id].sessions))
            failed |= {
                item.symbol: Answer(Outcome.EMPTY, reason=f"no price since {fetched.known[item.id][0]}")
                for item in bare
                if item.history is None
            }
    return failed


def _fetch_shares(provider: MarketDataProvider) -> Fetch:
    return lambda shares, start, end: provider.daily_bars([item.symbol for item in shares], start, end)


def _fetch_options(provider: MarketDataProvider) -> Fetch:
    return lambda listed, start, end: provider.option_bars(
        [item.contract for item in listed if item.contract], start, end
    )


def _is_incomplete(calendar: SessionCalendar, instrument: Instrument, sessions: Sequence[date]) -> bool:
    """Tell whether a contract still trades in the range, or its life within the history is not known wholly."""
    settlement = _last_of(calendar, instrument, sessions[-1])
    if settlement >= sessions[0]:
        return True
    history = _history(calendar, instrument, sessions)
    known = instrument.history
    return settlement >= history and (known is None or known[0] > history or known[1] < settlement)


def _history(calendar: SessionCalendar, instrument: Instrument, sessions: Sequence[date]) -> date:
    """Return the first session whose price is needed, by the range or by a portfolio that began earlier."""
    history = calendar.offset(sessions[0], -HISTORY_SESSIONS)
    return history if instrument.needed_from is None else min(history, instrument.needed_from)


def _last_of(calendar: SessionCalendar, instrument: Instrument, last: date) -> date:
    """Return the last session up to `last` on which an instrument can trade."""
    if instrument.contract is None:
        return last
    return min(last, calendar.latest_on_or_before(instrument.contract.expiration))


def _refresh(
    database: Database,
    calendar: SessionCalendar,
    instruments: Instruments,
    sessions: Sequence[date],
    fetch: Fetch,
    lock: str,
) -> StepReport:
    fetched, revised = _fetch_and_store(database, calendar, instruments, sessions, fetch, lock)
    with database.transaction() as connection:
        known = prices.read_matrix(connection, np.array(sessions, dtype="datetime64[D]"), instruments.ids, ["close"])
    return _report(instruments, sessions, fetched, revised, np.isfinite(known["close"]))


def _fetch_and_store(
    database: Database,
    calendar: SessionCalendar,
    instruments: Instruments,
    sessions: Sequence[date],
    fetch: Fetch,
    lock: str,
) -> tuple[_Fetched, dict[int, date]]:
    """Fetch what is needed and write it; return it, and by symbol id since when stored prices have changed."""
    fetched = _fetch_all(calendar, instruments, sessions, fetch)
    _fetch_restated_again(database, calendar, instruments, fetch, fetched)
    with database.transaction(lock=lock) as connection:
        return fetched, _store(connection, fetched)


def _needed(calendar: SessionCalendar, instrument: Instrument, sessions: Sequence[date]) -> tuple[Range, Range]:
    """Return the range to fetch of one instrument, and the range that is known afterwards."""
    last = _last_of(calendar, instrument, sessions[-1])
    first = min(sessions[0], last)
    history = _history(calendar, instrument, sessions)
    if instrument.history is None:
        return (history, last), (history, last)
    start, end = instrument.history
    overlap = calendar.offset(first, -OVERLAP_SESSIONS)
    if history < start:
        # Up to what is known already, so that the known range stays in one piece.
        return (history, max(last, start)), (history, max(last, end))
    return (min(overlap, end), last), (start, max(last, end))


def _fetch_all(calendar: SessionCalendar, instruments: Instruments, sessions: Sequence[date], fetch: Fetch) -> _Fetched:
    groups: dict[Range, list[Instrument]] = defaultdict(list)
    known: dict[int, Range] = {}
    for instrument in instruments:
        wanted, known[instrument.id] = _needed(calendar, instrument, sessions)
        groups[wanted].append(instrument)
    fetched = _Fetched()
    for (start, end), group in groups.items():
        logger.info("asking for the bars of %d symbols from %s to %s", len(group), start, end)
        _accept(calendar, group, (start, end), fetch(group, start, end), fetched)
        fetched.known.update({item.id: known[item.id] for item in group if item.id in fetched.bars})
    return fetched


def _accept(
    calendar: SessionCalendar,
    group: Sequence[Instrument],
    asked: Range,
    answers: Mapping[str, Answer[Bars]],
    fetched: _Fetched,
) -> None:
    """Keep the bars that pass the checks and remember why the others do not."""
    valid = calendar.session_array(*asked)
    for instrument in group:
        answer = answers[instrument.symbol]
        if answer.value is None:
            fetched.failed[instrument.symbol] = answer
            # Of a restated series whose whole could not be had, no part may be laid over ours.
            fetched.bars.pop(instrument.id, None)
            fetched.known.pop(instrument.id, None)
            fetched.restated.pop(instrument.id, None)
            continue
        bars, refused = check_bars(answer.value, valid, valid[-1].item())
        fetched.bars[instrument.id] = bars
        fetched.refused[instrument.id] = prices.Refusals(asked, refused, bars.source)


def _fetch_restated_again(
    database: Database, calendar: SessionCalendar, instruments: Instruments, fetch: Fetch, fetched: _Fetched
) -> None:
    """Where the provider's bars no longer agree with ours, fetch the whole known range of that symbol."""
    ids = np.array(sorted(fetched.bars), dtype=np.int64)
    if not len(ids):
        return
    days = np.unique(np.concatenate([fetched.bars[key].sessions for key in ids]))
    if not len(days):
        return
    valid = calendar.session_array(days[0].item(), days[-1].item())
    with database.transaction() as connection:
        ours = prices.read_matrix(connection, valid, ids, ["close"])["close"]
    theirs = np.full_like(ours, np.nan)
    for column, key in enumerate(ids.tolist()):
        theirs[np.searchsorted(valid, fetched.bars[key].sessions), column] = fetched.bars[key].close
    differs = restated(ours, theirs)
    for column in np.flatnonzero(differs.any(axis=0)).tolist():
        fetched.restated[int(ids[column])] = valid[differs[:, column].argmax()].item()
    for instrument in instruments:
        if instrument.id in fetched.restated:
            logger.warning("%s was restated by the provider: fetching its whole history again", instrument.symbol)
            start, end = fetched.known[instrument.id]
            _accept(calendar, [instrument], (start, end), fetch([instrument], start, end), fetched)


def _store(connection: Connection, fetched: _Fetched) -> dict[int, date]:
    """Write bars, actions and adjusted closes; return, by symbol id, since when stored prices have changed."""
    listed = {key: (bars.actions, bars.source) for key, bars in fetched.bars.items()}
    changed = prices.record_actions(connection, listed)
    actions = prices.read_actions(connection, list(fetched.bars))
    stored = prices.read_series(connection, list(actions))
    incoming: dict[int, Floats] = {key: bars.close for key, bars in fetched.bars.items()}
    rederived: dict[int, tuple[Dates, Floats]] = {}
    for key, of_symbol in actions.items():
        bars = fetched.bars[key]
        days, close, before = _merge(bars, stored.get(key))
        adjusted = adjusted_close(days, close, of_symbol)
        differs = np.isfinite(before) & (before != adjusted)
        rederived[key] = (days[differs], adjusted[differs])
        incoming[key] = adjusted[np.searchsorted(days, bars.sessions)]
    prices.upsert_bars(connection, fetched.bars, incoming)
    prices.update_adjusted(connection, rederived)
    prices.replace_refused(connection, fetched.refused)
    universe.record_history(connection, fetched.known)
    since = {key: min(days) for key, days in changed.items() if key in stored}
    for key, day in fetched.restated.items():
        since[key] = min(day, since.get(key, day))
    return since


def _merge(bars: Bars, stored: tuple[Dates, Floats, Floats] | None) -> tuple[Dates, Floats, Floats]:
    """Lay fetched bars over the stored series; return sessions, closes and the adjusted closes stored so far."""
    if stored is None:
        return bars.sessions, bars.close, np.full(len(bars.close), np.nan)
    days = np.union1d(stored[0], bars.sessions)
    close, adjusted = np.full(len(days), np.nan), np.full(len(days), np.nan)
    at = np.searchsorted(days, stored[0])
    close[at], adjusted[at] = stored[1], stored[2]
    close[np.searchsorted(days, bars.sessions)] = bars.close
    return days, close, adjusted


def _expected(instruments: Instruments, sessions: Sequence[date]) -> Bools:
    """Return where a bar can be expected, shape (T, N): always, but of a contract that has expired."""
    result = np.ones((len(sessions), len(instruments)), dtype=np.bool_)
    days = np.array(sessions, dtype="datetime64[D]")
    for column, instrument in enumerate(instruments):
        if instrument.contract is not None:
            result[:, column] = days <= np.datetime64(instrument.contract.expiration)
    return result


def _report(
    instruments: Instruments, sessions: Sequence[date], fetched: _Fetched, revised: dict[int, date], known: Bools
) -> StepReport:
    """Say of every symbol that lacks a bar, or had one refused, why."""
    failed, warnings = {symbol: str(answer) for symbol, answer in fetched.failed.items()}, {}
    expected = _expected(instruments, sessions)
    for column, instrument in enumerate(instruments):
        if instrument.symbol in failed:
            continue
        has, wants = known[:, column], expected[:, column]
        refused = fetched.refused[instrument.id].bars
        # A contract that nobody trades on a day has no bar that day, and nothing is wrong.
        remarks = _remarks(has, wants & ~has if instrument.contract is None else wants & ~has.any(), sessions, refused)
        if remarks and not has.any():
            failed[instrument.symbol] = remarks
        elif remarks:
            warnings[instrument.symbol] = remarks
    report = StepReport(
        "market_data_cache",
        rows=int(known.sum()),
        items=len(instruments),
        failed=failed,
        warnings=warnings,
        rows_per_session=dict(zip(sessions, known.sum(axis=1).tolist(), strict=True)),
        coverage=float(known[expected].mean()) if expected.any() else None,
        can_pass=sum(answer.outcome.is_transient for answer in fetched.failed.values()),
        notes={"sources": ", ".join(sorted({bars.source for bars in fetched.bars.values()}))},
    )
    if revised:
        names = {instrument.id: instrument.symbol for instrument in instruments}
        report.notes["revised"] = ", ".join(f"{names[key]} since {day}" for key, day in sorted(revised.items()))
        since, until = min(revised.values()), max(end for _, end in fetched.known.values())
        if until > sessions[-1]:
            report.notes["backfill_again"] = f"{since} to {until}"
        elif since < sessions[0]:
            report.notes["backfill_again"] = f"{since} to {sessions[0] - timedelta(days=1)}"
    return report


def _remarks(has: Bools, lacking: Bools, sessions: Sequence[date], refused: Sequence[RefusedBar]) -> str:
    remarks = []
    if lacking.any():
        missing = [day for day, lacks in zip(sessions, lacking, strict=True) if lacks]
        remarks.append(f"no bar on {len(missing)} of {len(has)} sessions, from {missing[0]} to {missing[-1]}")
    counted = Counter(bar.reason for bar in refused)
    remarks += [f"{count} refused: {reason}" for reason, count in sorted(counted.items())]
    return "; ".join(remarks)

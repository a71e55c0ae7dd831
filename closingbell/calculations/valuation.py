"""Portfolio accounting: a ledger and market prices in, daily snapshots out.

The path of every portfolio, from its inception to the last session asked for, is derived afresh from its ledger.
A snapshot is therefore a pure function of (ledger, prices up to its session): it does not depend on which other
sessions are asked for, on the other portfolios, nor on the size of the chunks they are worked through in.

Money is integer cents. Each position value and each cash movement is rounded to a cent once (ties to even, on the
binary product), and every sum from there on is exact, so ``nav = cash + long_value + short_value`` always holds.

Sessions are numbered internally from the first one that matters to any portfolio. An event on a date belongs to
the first session on or after it, except an expiration, which belongs to the last session on or before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from closingbell.arrays import Bools, Dates, Floats, Ints

STALE_SESSIONS = 5
"""A close this many sessions old may still stand in for a missing one."""

_CHUNK_CELLS = 500_000
"""Positions x sessions held at once: ten or so temporaries of this size stay far below 100 MiB."""


@dataclass(frozen=True)
class Lots:
    """P positions of the ledger, ordered by portfolio.

    A lot is expected to be entered on or before its exit and its expiration; one that is not never counts.

    Attributes
    ----------
    portfolio : int64 (P,)
        Row of the portfolio in `Portfolios`; ascending.
    column : int64 (P,)
        Column of the price matrix; -1 when there is no price series (always so for private assets).
    holding : int64 (P,)
        Same number, same symbol: what concentration is measured over.
    is_private, is_option : bool (P,)
        The class; neither means PUBLIC.
    quantity : float64 (P,)
        Units held, negative for a short, as counted on `as_of`.
    multiplier : float64 (P,)
        Units of the underlying per contract: 100 for options, else 1.
    entry_price, exit_price : float64 (P,)
        Dollars per unit, as counted on `as_of`; exit NaN while open.
    entry, exit : datetime64[D] (P,)
        Trade dates; exit NaT while open.
    as_of : datetime64[D] (P,)
        The date whose share count `quantity` is stated in: splits with a later ex-date have yet to act on it.
    expiration : datetime64[D] (P,)
        Options only, else NaT.
    strike : float64 (P,)
        Options only, else NaN; dollars.
    is_call : bool (P,)
        Options only: call or put.
    underlying : int64 (P,)
        Options only: price column of the underlying, -1 when it has none.
    """

    portfolio: Ints
    column: Ints
    holding: Ints
    is_private: Bools
    is_option: Bools
    quantity: Floats
    multiplier: Floats
    entry_price: Floats
    exit_price: Floats
    entry: Dates
    exit: Dates
    as_of: Dates
    expiration: Dates
    strike: Floats
    is_call: Bools
    underlying: Ints


@dataclass(frozen=True)
class Portfolios:
    """K portfolios.

    Attributes
    ----------
    equity : int64 (K,)
        Cents of equity on the inception session, flows of that session included.
    inception : datetime64[D] (K,)
        The portfolio starts on the first session on or after this date.
    """

    equity: Ints
    inception: Dates


@dataclass(frozen=True)
class Flows:
    """F contributions and withdrawals, in any order.

    Attributes
    ----------
    portfolio : int64 (F,)
        Row of the portfolio.
    day : datetime64[D] (F,)
        Booked at the close of the first session on or after this date.
    amount : int64 (F,)
        Cents; a contribution is positive.
    """

    portfolio: Ints
    day: Dates
    amount: Ints


@dataclass(frozen=True)
class Valuations:
    """V manual valuations of private lots, in any order; of two for one lot and day the last one given holds.

    Attributes
    ----------
    lot : int64 (V,)
        Row of the lot in `Lots`.
    day : datetime64[D] (V,)
        In force from this date until the next valuation.
    price : float64 (V,)
        Dollars per unit.
    """

    lot: Ints
    day: Dates
    price: Floats


@dataclass(frozen=True)
class Actions:
    """A corporate actions of one kind, in any order.

    Attributes
    ----------
    column : int64 (A,)
        Price column of the symbol.
    ex_date : datetime64[D] (A,)
        First date without the entitlement.
    value : float64 (A,)
        New shares per old share for splits, dollars per share for cash dividends.
    """

    column: Ints
    ex_date: Dates
    value: Floats


@dataclass(frozen=True)
class Market:
    """T contiguous sessions by N price series.

    Begin at least `STALE_SESSIONS` sessions before the earliest inception, where data exist. For an expiration on
    a date that is no session, `sessions` must reach past it before the settlement session can be known.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Trading days, oldest first, none left out.
    close : float64 (T, N)
        Dollars as traded, NaN where unknown.
    splits, dividends : Actions
        Corporate actions of these columns.
    """

    sessions: Dates
    close: Floats
    splits: Actions
    dividends: Actions


@dataclass(frozen=True)
class Snapshots:
    """K portfolios on S sessions. Before a portfolio starts its counts and money are 0 and its ratios NaN.

    Attributes
    ----------
    started : bool (K, S)
        Whether the session is on or after the inception session.
    nav, cash, long_value, short_value, gross, net : int64 (K, S)
        Cents; short_value <= 0 for ordinary prices; net = long_value + short_value.
    daily_pnl, flow, realized_pnl, unrealized_pnl : int64 (K, S)
        Cents; realized is cumulative since inception, the others are of the session.
    leverage : float64 (K, S)
        gross / nav; NaN unless nav > 0.
    daily_return, cumulative_return : float64 (K, S)
        Fractions; the cumulative one chains the daily ones and is NaN from the first NaN on.
    hhi, effective_positions : float64 (K, S)
        Herfindahl-Hirschman index of the holdings' gross weights times 10,000, and 10,000 / hhi.
    top3_weight, top10_weight : float64 (K, S)
        Fraction of gross in the largest three and ten holdings.
    coverage : float64 (K, S)
        Priced share of the positions that need a market price; 1 when none does.
    positions, long_count, short_count : int64 (K, S)
        Counted lots: all, with positive and with negative quantity.
    value : int64 (P, S)
        Cents per lot; 0 unless `priced`.
    counted : bool (P, S)
        The lot is a position of its portfolio on the session.
    priced : bool (P, S)
        The lot is counted and has a price; ``counted & ~priced`` are the missing ones.
    stale : bool (P, S)
        The lot is priced at the close of an earlier session.
    """

    started: Bools
    nav: Ints
    cash: Ints
    long_value: Ints
    short_value: Ints
    gross: Ints
    net: Ints
    daily_pnl: Ints
    flow: Ints
    realized_pnl: Ints
    unrealized_pnl: Ints
    leverage: Floats
    daily_return: Floats
    cumulative_return: Floats
    hhi: Floats
    effective_positions: Floats
    top3_weight: Floats
    top10_weight: Floats
    coverage: Floats
    positions: Ints
    long_count: Ints
    short_count: Ints
    value: Ints
    counted: Bools
    priced: Bools
    stale: Bools


@dataclass(frozen=True)
class _Clock:
    """The sessions of one run: `dates` from the first one that matters, of which the first `width` are worked on.

    `requested` (S,) numbers the sessions asked for; events at `width` or later have not happened yet.
    """

    dates: Dates
    width: int
    requested: Ints

    def on_or_after(self, days: Dates) -> Ints:
        """Return the number of the first session on or after each day; at least `width` if later or NaT."""
        return np.searchsorted(self.dates, days).astype(np.int64)

    def on_or_before(self, days: Dates) -> Ints:
        """Return the number of the last session on or before each day; beyond all if not known yet or NaT."""
        unknown = np.isnat(days) | (days > self.dates[-1])
        found = np.searchsorted(self.dates, days, side="right").astype(np.int64) - 1
        return np.where(unknown, len(self.dates), found)


@dataclass(frozen=True)
class _Prices:
    """Closes with short gaps bridged, and corporate actions ordered by column, then ex-date.

    `close` and `stale` are (N + 1, width); the last row has no price, which is where column -1 points.
    """

    close: Floats
    stale: Bools
    splits: Actions
    dividends: Actions


@dataclass(frozen=True)
class _Spans:
    """Session numbers (p,) that bound the life of each lot.

    A lot counts on sessions ``max(entry, start) <= t < end``; `settled` marks the options that end by settling at
    `payoff` dollars per unit, all others end on `exit`. An option that should have settled on `settle` but whose
    underlying has no price there stays counted, without a price.
    """

    start: Ints
    entry: Ints
    exit: Ints
    settle: Ints
    end: Ints
    alive: Bools
    settled: Bools
    payoff: Floats


@dataclass(frozen=True)
class _Ledger:
    """All or a run of the portfolios: k portfolios with p lots and all that refers to them.

    `portfolios` and `rows` are their places in the whole. `owner` (p,) and the references of `flows` and
    `valuations`, which come ordered by them, count from the run's own first portfolio and lot. `start` (k,) are
    the inception sessions.
    """

    portfolios: slice
    rows: slice
    lots: Lots
    owner: Ints
    start: Ints
    equity: Ints
    flows: Flows
    valuations: Valuations


@dataclass(frozen=True)
class _Positions:
    """The lots of a ledger, dense over the sessions.

    `quantity`, `value` (cents), `counted` and `held` (counted and priced) are (p, width). `booked` (p,) is the
    session on which the lot enters its portfolio's book, `width` if it has not yet.
    """

    spans: _Spans
    booked: Ints
    quantity: Floats
    value: Ints
    counted: Bools
    held: Bools


@dataclass(frozen=True)
class _Books:
    """Money of the portfolios of one chunk, int64 cents (k, width): two balances and the movements `flow`."""

    cash: Ints
    realized: Ints
    flow: Ints


_Table = TypeVar("_Table", Lots, Flows, Valuations, Actions)


def value_portfolios(
    lots: Lots,
    portfolios: Portfolios,
    flows: Flows,
    valuations: Valuations,
    market: Market,
    *,
    sessions: Dates,
) -> Snapshots:
    """Value portfolios on the sessions asked for.

    Parameters
    ----------
    lots : Lots
        P positions, ordered by portfolio.
    portfolios : Portfolios
        K portfolios.
    flows : Flows
        Contributions and withdrawals.
    valuations : Valuations
        Manual prices of private lots.
    market : Market
        Prices and corporate actions.
    sessions : datetime64[D] (S,)
        Sessions to report, each one of ``market.sessions``, in any order.

    Returns
    -------
    Snapshots
        One per portfolio and session, with the lots' values.

    Raises
    ------
    ValueError
        If lots are not ordered by portfolio or lack a price they must have, or if a session or a price column does
        not exist.

    Notes
    -----
    Lots present at the start are booked at their value there, or, when unpriced, on the first later session that
    prices them, so that the price's arrival is no profit. One that closes before ever being priced is booked in at
    cost and out at proceeds on its exit session; an option that settles before ever being priced is not booked at
    all. Later lots are booked at cost on their entry session, priced or not.
    """
    _check(lots, market, sessions)
    clock, start = _clock(portfolios, market, sessions)
    prices = _bridge_gaps(market, clock)
    ledger = _Ledger(
        portfolios=slice(0, len(start)),
        rows=slice(0, len(lots.portfolio)),
        lots=lots,
        owner=lots.portfolio,
        start=start,
        equity=portfolios.equity,
        flows=_ordered(flows, flows.portfolio, flows.day),
        valuations=_ordered(valuations, valuations.lot, valuations.day),
    )
    out = _empty_snapshots(len(start), len(sessions), len(lots.portfolio))
    for chunk in _chunks(ledger, clock.width):
        positions = _positions(chunk, prices, clock)
        books = _keep_books(chunk, positions, prices.dividends, clock)
        _report_path(out, chunk, positions, books, clock)
        _report_positions(out, chunk, positions, prices, clock)
        _report_concentration(out, chunk)
    _report_ratios(out)
    return out


def group_weights(value: Ints, portfolio: Ints, group: Ints, count: int, groups: int) -> Floats:
    """Weigh the groups that the lots of each portfolio fall into, such as sectors.

    Parameters
    ----------
    value : int64 (P, S)
        Cents per lot and session; 0 where the lot has no value.
    portfolio : int64 (P,)
        Row of the portfolio, 0 <= portfolio < count; ascending.
    group : int64 (P, S)
        Group of the lot on each session, 0 <= group < groups.
    count : int
        K, the number of portfolios.
    groups : int
        G, the number of groups.

    Returns
    -------
    float64 (K, S, G)
        Fraction of the portfolio's gross value in each group; NaN where gross is 0.

    Raises
    ------
    ValueError
        If a group does not exist.

    Notes
    -----
    The sums are integers, hence exact: neither the order of the lots nor the other portfolios change a bit.
    """
    if np.any((group < 0) | (group >= groups)):
        raise ValueError(f"groups must lie in 0..{groups - 1}")
    sessions = value.shape[1]
    cents = np.zeros((sessions, count * groups), dtype=np.int64)
    for session in range(sessions):
        np.add.at(cents[session], portfolio * groups + group[:, session], np.abs(value[:, session]))
    by_group = cents.reshape(sessions, count, groups).transpose(1, 0, 2)
    return _ratio(by_group, by_group.sum(axis=2, keepdims=True))


def _check(lots: Lots, market: Market, sessions: Dates) -> None:
    """Refuse input that would silently give wrong numbers."""
    if np.any(np.diff(lots.portfolio) < 0):
        raise ValueError("lots must be ordered by portfolio")
    if not np.all(np.isin(sessions, market.sessions)):
        raise ValueError("every session asked for must be one of the market's sessions")
    if not np.all(np.isfinite(lots.entry_price)) or not np.all(np.isfinite(lots.quantity)):
        raise ValueError("every lot needs a quantity and an entry price")
    if not np.all(np.isfinite(lots.exit_price) | np.isnat(lots.exit)):
        raise ValueError("every lot with an exit date needs an exit price")
    if np.any(np.maximum(lots.column, lots.underlying) >= market.close.shape[1]):
        raise ValueError("every price column must be one of the market's")


def _clock(portfolios: Portfolios, market: Market, sessions: Dates) -> tuple[_Clock, Ints]:
    """Set the clock to the sessions that matter; returns it and each portfolio's inception session (K,)."""
    requested = np.searchsorted(market.sessions, sessions).astype(np.int64)
    start = np.searchsorted(market.sessions, portfolios.inception).astype(np.int64)
    stop = int(requested.max(initial=0)) + 1
    first = int(min(requested.min(initial=stop - 1), start.min(initial=stop - 1)))
    clock = _Clock(dates=market.sessions[first:], width=stop - first, requested=requested - first)
    return clock, start - first


def _bridge_gaps(market: Market, clock: _Clock) -> _Prices:
    """Carry closes over gaps of up to `STALE_SESSIONS` sessions, restated for splits that fall in between."""
    first = len(market.sessions) - len(clock.dates)
    lead = min(first, STALE_SESSIONS)
    raw = market.close[first - lead : first + clock.width]
    length, columns = raw.shape
    close = np.full((columns + 1, length), np.nan)
    close[:-1] = raw.T
    known = ~np.isnan(close)
    age = np.zeros(close.shape, dtype=np.int8)
    for back in range(1, min(STALE_SESSIONS, length - 1) + 1):
        usable = known[:, :-back] & ~known[:, back:] & (age[:, back:] == 0)
        np.copyto(close[:, back:], close[:, :-back], where=usable)
        age[:, back:][usable] = back
    splits = _ordered(market.splits, market.splits.column, market.splits.ex_date)
    ex = np.searchsorted(market.sessions, splits.ex_date) - (first - lead)
    for since in range(STALE_SESSIONS):
        inside = np.flatnonzero((ex + since >= 0) & (ex + since < length))
        crossed = inside[age[splits.column[inside], ex[inside] + since] > since]
        np.divide.at(close, (splits.column[crossed], ex[crossed] + since), splits.value[crossed])
    dividends = _ordered(market.dividends, market.dividends.column, market.dividends.ex_date)
    return _Prices(close=close[:, lead:], stale=age[:, lead:] > 0, splits=splits, dividends=dividends)


def _chunks(ledger: _Ledger, width: int) -> Iterator[_Ledger]:
    """Cut a ledger into runs of portfolios of bounded size."""
    count = len(ledger.start)
    ends = np.searchsorted(ledger.owner, np.arange(count), side="right")
    load = ends + np.arange(1, count + 1)
    budget = max(_CHUNK_CELLS // width, 1)
    first, first_lot = 0, 0
    while first < count:
        stop = max(int(np.searchsorted(load, first + first_lot + budget, side="right")), first + 1)
        stop_lot = int(ends[stop - 1])
        yield _run(ledger, slice(first, stop), slice(first_lot, stop_lot))
        first, first_lot = stop, stop_lot


def _run(ledger: _Ledger, portfolios: slice, rows: slice) -> _Ledger:
    """Take a run of portfolios, whose lots are `rows`, out of the whole ledger."""
    flows = _rows(ledger.flows, _range(ledger.flows.portfolio, portfolios))
    valuations = _rows(ledger.valuations, _range(ledger.valuations.lot, rows))
    return _Ledger(
        portfolios=portfolios,
        rows=rows,
        lots=_rows(ledger.lots, rows),
        owner=ledger.owner[rows] - portfolios.start,
        start=ledger.start[portfolios],
        equity=ledger.equity[portfolios],
        flows=replace(flows, portfolio=flows.portfolio - portfolios.start),
        valuations=replace(valuations, lot=valuations.lot - rows.start),
    )


def _positions(chunk: _Ledger, prices: _Prices, clock: _Clock) -> _Positions:
    """Derive quantity, value and presence of each lot on each session."""
    lots = chunk.lots
    spans = _spans(chunk, prices, clock)
    quantity = _quantities(lots, prices.splits, clock)
    price = prices.close[_traded_column(lots)]
    price[lots.is_private] = _private_prices(chunk, clock)
    session = np.arange(clock.width)
    counted = session >= np.maximum(spans.entry, spans.start)[:, None]
    counted &= session < spans.end[:, None]
    held = counted & ~np.isnan(price)
    held &= session < spans.settle[:, None]
    price *= quantity * (lots.multiplier * 100)[:, None]
    np.rint(price, out=price)
    np.copyto(price, 0.0, where=~held)
    return _Positions(
        spans=spans,
        booked=_booked(spans, held),
        quantity=quantity,
        value=price.astype(np.int64),
        counted=counted,
        held=held,
    )


def _booked(spans: _Spans, held: Bools) -> Ints:
    """Find the session on which each lot enters the book: its entry or, if there at the start, its first price."""
    width = held.shape[1]
    opening = spans.alive & (spans.entry <= spans.start)
    first_held = np.where(held.any(axis=1), held.argmax(axis=1), width)
    return np.where(opening, first_held, np.where(spans.alive, np.minimum(spans.entry, width), width))


def _traded_column(lots: Lots) -> Ints:
    """Return the price column of each lot (p,), -1 (the row without prices) for private assets."""
    return np.where(lots.is_private, -1, lots.column)


def _spans(chunk: _Ledger, prices: _Prices, clock: _Clock) -> _Spans:
    """Find when each lot enters, leaves or settles; one gone by its portfolio's start is not `alive`."""
    lots, start = chunk.lots, chunk.start[chunk.owner]
    entry, leave = clock.on_or_after(lots.entry), clock.on_or_after(lots.exit)
    settle = np.where(lots.is_option, clock.on_or_before(lots.expiration), len(clock.dates))
    due = np.flatnonzero((settle >= 0) & (settle < np.minimum(leave, clock.width)))
    payoff = np.full(len(entry), np.nan)
    spot, strike = prices.close[lots.underlying[due], settle[due]], lots.strike[due]
    payoff[due] = np.maximum(np.where(lots.is_call[due], spot - strike, strike - spot), 0.0)
    gone = np.minimum(leave, settle)
    alive = (start < clock.width) & (gone > start) & (gone >= entry)
    settled = alive & ~np.isnan(payoff)
    return _Spans(
        start=start,
        entry=entry,
        exit=leave,
        settle=settle,
        end=np.where(alive, np.where(settled, settle, leave), 0),
        alive=alive,
        settled=settled,
        payoff=payoff,
    )


def _quantities(lots: Lots, splits: Actions, clock: _Clock) -> Floats:
    """Restate the units of each lot for the splits between `as_of` and each session; returns (p, width)."""
    quantity = np.repeat(lots.quantity[:, None], clock.width, axis=1)
    lot, split = _pairs(_traded_column(lots), splits.column)
    rows, row = np.unique(lot, return_inverse=True)
    if not len(rows):
        return quantity
    session = np.minimum(clock.on_or_after(splits.ex_date[split]), clock.width)
    ratio = splits.value[split]
    ahead = lots.as_of[lot] < splits.ex_date[split]
    growth = np.ones((len(rows), clock.width + 1))
    np.multiply.at(growth, (row[ahead], session[ahead]), ratio[ahead])
    # Latest first: products taken in one order, whether a split falls inside the window or beyond it.
    behind = np.flatnonzero(~ahead)[::-1]
    undone = np.ones((len(rows), clock.width + 1))
    np.multiply.at(undone, (row[behind], session[behind]), ratio[behind])
    quantity[rows] *= np.cumprod(growth, axis=1)[:, :-1]
    quantity[rows] /= np.cumprod(undone[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return quantity


def _private_prices(chunk: _Ledger, clock: _Clock) -> Floats:
    """Price the r private lots at their last valuation so far, else their entry price; returns (r, width)."""
    lots, valuations = chunk.lots, chunk.valuations
    rows = np.flatnonzero(lots.is_private)
    price = np.full((len(rows), clock.width), np.nan)
    price[:, 0] = lots.entry_price[rows]
    session = clock.on_or_after(valuations.day)
    use = lots.is_private[valuations.lot] & (session < clock.width) & ~np.isnan(valuations.price)
    # Where several fall on one session the assignment keeps the last, and they come ordered by day.
    price[np.searchsorted(rows, valuations.lot[use]), session[use]] = valuations.price[use]
    latest = np.maximum.accumulate(np.where(np.isnan(price), 0, np.arange(clock.width)), axis=1)
    return np.take_along_axis(price, latest, axis=1)


def _keep_books(chunk: _Ledger, positions: _Positions, dividends: Actions, clock: _Clock) -> _Books:
    """Post every cash movement of the ledger on its session, then run the balances."""
    start, flows = chunk.start, chunk.flows
    shape = (len(start), clock.width)
    books = _Books(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    _post(books.cash, np.arange(len(start)), start, chunk.equity, start < clock.width)
    day = clock.on_or_after(flows.day)
    _post(books.flow, flows.portfolio, day, flows.amount, day > start[flows.portfolio])
    books.cash[:] += books.flow
    _post_entries(books, chunk, positions)
    _post_ends(books, chunk, positions)
    _post_dividends(books, chunk, positions, dividends, clock)
    np.cumsum(books.cash, axis=1, out=books.cash)
    np.cumsum(books.realized, axis=1, out=books.realized)
    return books


def _post(book: Ints, owner: Ints, session: Ints, cents: Ints, mask: Bools) -> None:
    """Add `cents` to (owner, session) of `book` where `mask` holds and the session has come."""
    use = mask & (session < book.shape[1])
    np.add.at(book, (owner[use], session[use]), cents[use])


def _cents(amount: Floats) -> Ints:
    """Round an amount in cents to a whole number; NaN, which stands for nothing to post, gives 0."""
    return np.rint(np.nan_to_num(amount)).astype(np.int64)


def _amount(lots: Lots, price: Floats) -> Ints:
    """Cents of each lot (p,) at a price stated as `quantity` is; 0 where the price is NaN."""
    return _cents(lots.quantity * (lots.multiplier * 100) * price)


def _post_entries(books: _Books, chunk: _Ledger, positions: _Positions) -> None:
    """Pay for the lots: cost for those that come later, first value for those the opening equity contains."""
    spans, booked, value = positions.spans, positions.booked, positions.value
    later = spans.entry > spans.start
    first_value = value[np.arange(len(booked)), np.minimum(booked, value.shape[1] - 1)]
    price = np.where(later, _amount(chunk.lots, chunk.lots.entry_price), first_value)
    _post(books.cash, chunk.owner, booked, -price, spans.alive)


def _post_ends(books: _Books, chunk: _Ledger, positions: _Positions) -> None:
    """Collect what lots pay on their exit or settlement, and realize the difference to their cost."""
    lots, owner, spans = chunk.lots, chunk.owner, positions.spans
    width = books.cash.shape[1]
    cost, proceeds = _amount(lots, lots.entry_price), _amount(lots, lots.exit_price)
    exits = spans.alive & ~spans.settled
    _post(books.cash, owner, spans.exit, -cost, exits & (positions.booked >= width))
    _post(books.cash, owner, spans.exit, proceeds, exits)
    _post(books.realized, owner, spans.exit, proceeds - cost, exits)
    settles = spans.settled & (positions.booked < width)
    contracts = positions.quantity[np.arange(len(owner)), np.clip(spans.settle, 0, width - 1)]
    payout = _cents(contracts * (lots.multiplier * 100) * spans.payoff)
    _post(books.cash, owner, spans.settle, payout, settles)
    _post(books.realized, owner, spans.settle, payout - cost, settles)


def _post_dividends(books: _Books, chunk: _Ledger, positions: _Positions, dividends: Actions, clock: _Clock) -> None:
    """Pay dividends on the ex-date to the lots that were in the book on the session before; shorts owe them."""
    payers = np.where(chunk.lots.is_option, -1, _traded_column(chunk.lots))
    lot, dividend = _pairs(payers, dividends.column)
    ex = clock.on_or_after(dividends.ex_date[dividend])
    entitled = (ex < clock.width) & (positions.booked[lot] < ex) & (ex <= positions.spans.end[lot])
    lot, dividend, ex = lot[entitled], dividend[entitled], ex[entitled]
    cents = _cents(positions.quantity[lot, ex - 1] * 100 * dividends.value[dividend])
    np.add.at(books.cash, (chunk.owner[lot], ex), cents)


def _report_path(out: Snapshots, chunk: _Ledger, positions: _Positions, books: _Books, clock: _Clock) -> None:
    """Write what depends on the whole path: balances, profit and returns."""
    nav = books.cash + _sum_by(positions.value, chunk.owner, len(chunk.start))
    session, first = np.arange(clock.width), chunk.start[:, None]
    daily_pnl = np.diff(nav, axis=1, prepend=0) - books.flow
    daily_pnl[session <= first] = 0
    before = np.zeros_like(nav)
    before[:, 1:] = nav[:, :-1]
    daily_return = _ratio(daily_pnl, before)
    daily_return[session == first] = 0.0
    growth = np.cumprod(np.where(session <= first, 1.0, 1.0 + daily_return), axis=1)
    cumulative = np.where(session < first, np.nan, growth - 1.0)
    at, target = clock.requested, chunk.portfolios
    out.started[target] = (session >= first)[:, at]
    out.nav[target] = nav[:, at]
    out.cash[target] = books.cash[:, at]
    out.flow[target] = books.flow[:, at]
    out.realized_pnl[target] = books.realized[:, at]
    out.daily_pnl[target] = daily_pnl[:, at]
    out.daily_return[target] = daily_return[:, at]
    out.cumulative_return[target] = cumulative[:, at]


def _report_positions(out: Snapshots, chunk: _Ledger, positions: _Positions, prices: _Prices, clock: _Clock) -> None:
    """Write the lots of the sessions asked for, and what is summed or counted over them."""
    lots, rows, target, at = chunk.lots, chunk.rows, chunk.portfolios, clock.requested
    value, counted, held = positions.value[:, at], positions.counted[:, at], positions.held[:, at]
    marketable = ~lots.is_private[:, None]
    out.value[rows], out.counted[rows], out.priced[rows] = value, counted, held
    out.stale[rows] = held & prices.stale[_traded_column(lots)[:, None], at] & marketable

    def total(cells: NDArray[Any]) -> Ints:
        return _sum_by(cells.astype(np.int64), chunk.owner, len(chunk.start))

    is_long, is_short = lots.quantity[:, None] > 0, lots.quantity[:, None] < 0
    out.long_value[target] = total(value * is_long)
    out.short_value[target] = total(value * is_short)
    out.unrealized_pnl[target] = total(value - held * _amount(lots, lots.entry_price)[:, None])
    out.positions[target] = total(counted)
    out.long_count[target] = total(counted & is_long)
    out.short_count[target] = total(counted & is_short)
    needed = total(counted & marketable)
    out.coverage[target] = np.where(needed == 0, 1.0, _ratio(total(held & marketable), needed))


def _report_concentration(out: Snapshots, chunk: _Ledger) -> None:
    """Write gross value and how it spreads over holdings."""
    owner, target = chunk.owner, chunk.portfolios
    magnitude = np.abs(out.value[chunk.rows])
    gross = _sum_by(magnitude, owner, len(chunk.start))
    out.gross[target] = gross
    codes, code = np.unique(chunk.lots.holding, return_inverse=True)
    keys, key = np.unique(owner * len(codes) + code, return_inverse=True)
    top3, top10, squares = _rank_holdings(_sum_by(magnitude, key, len(keys)), keys // max(len(codes), 1), gross)
    out.top3_weight[target] = _ratio(top3, gross)
    out.top10_weight[target] = _ratio(top10, gross)
    out.hhi[target] = np.where(gross > 0, squares * 10_000, np.nan)


def _rank_holdings(holdings: Ints, owner: Ints, gross: Ints) -> tuple[Ints, Ints, Floats]:
    """Largest three, largest ten, and sum of squared weights of each portfolio's holdings.

    Parameters
    ----------
    holdings : int64 (m, S)
        Gross cents per holding, ordered by portfolio.
    owner : int64 (m,)
        Portfolio of each holding, ascending.
    gross : int64 (k, S)
        Gross cents per portfolio.

    Returns
    -------
    top3, top10 : int64 (k, S)
        Cents.
    squares : float64 (k, S)
        Sum of squared weights, added from the largest down: the order of holdings cannot change a bit.
    """
    top3, top10, squares = np.zeros_like(gross), np.zeros_like(gross), np.zeros(gross.shape)
    counts = np.bincount(owner, minlength=len(gross))
    first = np.cumsum(counts) - counts
    # Portfolios of like size are padded to the next power of two, so that one huge one does not inflate them all.
    sizes = 2 ** np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    for size in np.unique(sizes[counts > 0]):
        members = np.flatnonzero((sizes == size) & (counts > 0))
        slot = np.arange(size)
        source = np.minimum(first[members, None] + slot, len(holdings) - 1)
        padded = holdings[source] * (slot < counts[members, None])[:, :, None]
        ranked = -np.sort(-padded, axis=1)
        top3[members] = ranked[:, :3].sum(axis=1)
        top10[members] = ranked[:, :10].sum(axis=1)
        weights = ranked / np.maximum(gross[members], 1)[:, None, :]
        squares[members] = np.cumsum(weights * weights, axis=1)[:, -1]
    return top3, top10, squares


def _report_ratios(out: Snapshots) -> None:
    """Write what follows from other fields, and blank the ratios of portfolios that have not started."""
    np.add(out.long_value, out.short_value, out=out.net)
    out.leverage[:] = _ratio(out.gross, out.nav)
    out.effective_positions[:] = 10_000 / out.hhi
    out.coverage[~out.started] = np.nan


def _sum_by(values: Ints, key: Ints, count: int) -> Ints:
    """Sum the rows of `values` (p, S) that share a key (p,) in 0..count-1; returns int64 (count, S)."""
    total = np.zeros((count, values.shape[1]), dtype=np.int64)
    if len(key):
        if np.any(np.diff(key) < 0):
            order = np.argsort(key, kind="stable")
            values, key = values[order], key[order]
        present, first = np.unique(key, return_index=True)
        total[present] = np.add.reduceat(values, first, axis=0)
    return total


def _ratio(part: Ints, whole: Ints) -> Floats:
    """Divide, giving NaN where the whole is not positive."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _pairs(wanted: Ints, ordered: Ints) -> tuple[Ints, Ints]:
    """List all (i, j) with ``wanted[i] == ordered[j]``, by i then j; `ordered` ascends."""
    low = np.searchsorted(ordered, wanted, side="left")
    counts = np.searchsorted(ordered, wanted, side="right") - low
    i = np.repeat(np.arange(len(wanted)), counts)
    j = np.arange(len(i)) + np.repeat(low - (np.cumsum(counts) - counts), counts)
    return i, j


def _range(ordered: Ints, keys: slice) -> slice:
    """Find the rows of `ordered` whose value lies in the half-open range `keys`."""
    low, high = np.searchsorted(ordered, [keys.start, keys.stop])
    return slice(int(low), int(high))


def _rows(table: _Table, rows: slice | Ints) -> _Table:
    """Take rows of every column of a table."""
    columns: dict[str, Any] = {field.name: getattr(table, field.name)[rows] for field in fields(table)}
    return type(table)(**columns)


def _ordered(table: _Table, key: Ints, day: Dates) -> _Table:
    """Order a table by key, then day; equal rows keep their order."""
    return _rows(table, np.lexsort((day, key)))


def _empty_snapshots(portfolios: int, sessions: int, lots: int) -> Snapshots:
    """Snapshots before anything is known: money and counts 0, ratios NaN."""
    shape = (portfolios, sessions)
    columns: dict[str, Any] = {
        field.name: np.full(shape, np.nan) if field.type == "Floats" else np.zeros(shape, np.int64)
        for field in fields(Snapshots)
    }
    columns["started"] = np.zeros(shape, dtype=np.bool_)
    columns["value"] = np.zeros((lots, sessions), dtype=np.int64)
    for name in ("counted", "priced", "stale"):
        columns[name] = np.zeros((lots, sessions), dtype=np.bool_)
    return Snapshots(**columns)

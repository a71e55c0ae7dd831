"""Portfolio accounting against closed forms and an independent, slow, exact simulator of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.arrays import Dates, Ints
from closingbell.calculations import valuation
from closingbell.calculations.valuation import (
    Actions,
    Flows,
    Lots,
    Market,
    Portfolios,
    Snapshots,
    Valuations,
    group_weights,
    value_portfolios,
)

D = Decimal
SESSIONS = [date(2024, 1, 1) + timedelta(days=7 * week + weekday) for week in range(6) for weekday in range(5)]
PER_LOT = ("value", "counted", "priced", "stale")


@dataclass(frozen=True)
class Lot:
    quantity: D = Decimal(100)
    column: int = 0
    kind: str = "public"
    entry: date = SESSIONS[0]
    entry_price: D = Decimal(10)
    exit: date | None = None
    exit_price: D | None = None
    as_of: date = SESSIONS[0]
    expiration: date | None = None
    strike: D | None = None
    is_call: bool = True
    underlying: int = -1
    holding: int = 0
    valuations: tuple[tuple[date, D], ...] = ()

    @property
    def multiplier(self) -> int:
        return 100 if self.kind == "option" else 1


@dataclass(frozen=True)
class Book:
    lots: tuple[Lot, ...] = ()
    equity: D = Decimal(10_000)
    inception: date = SESSIONS[6]
    flows: tuple[tuple[date, D], ...] = ()


@dataclass(frozen=True)
class World:
    close: tuple[tuple[D | None, ...], ...]
    splits: tuple[tuple[int, date, D], ...] = ()
    dividends: tuple[tuple[int, date, D], ...] = ()
    sessions: Sequence[date] = field(default_factory=lambda: SESSIONS)


# ---------------------------------------------------------------- to arrays


def days(dates: Sequence[date | None]) -> Dates:
    return np.array(["NaT" if each is None else each.isoformat() for each in dates], dtype="datetime64[D]")


def number(value: D | None) -> float:
    return float("nan") if value is None else float(value)


def actions(rows: Sequence[tuple[int, date, D]]) -> Actions:
    return Actions(
        column=np.array([row[0] for row in rows], dtype=np.int64),
        ex_date=days([row[1] for row in rows]),
        value=np.array([float(row[2]) for row in rows], dtype=np.float64),
    )


def market_of(world: World) -> Market:
    return Market(
        sessions=days(world.sessions),
        close=np.array([[number(price) for price in series] for series in world.close]).T,
        splits=actions(world.splits),
        dividends=actions(world.dividends),
    )


def lots_of(books: Sequence[Book]) -> Lots:
    owned = [(owner, lot) for owner, book in enumerate(books) for lot in book.lots]
    lots = [lot for _, lot in owned]
    return Lots(
        portfolio=np.array([owner for owner, _ in owned], dtype=np.int64),
        column=np.array([lot.column for lot in lots], dtype=np.int64),
        holding=np.array([lot.holding for lot in lots], dtype=np.int64),
        is_private=np.array([lot.kind == "private" for lot in lots], dtype=np.bool_),
        is_option=np.array([lot.kind == "option" for lot in lots], dtype=np.bool_),
        quantity=np.array([float(lot.quantity) for lot in lots], dtype=np.float64),
        multiplier=np.array([lot.multiplier for lot in lots], dtype=np.float64),
        entry_price=np.array([float(lot.entry_price) for lot in lots], dtype=np.float64),
        exit_price=np.array([number(lot.exit_price) for lot in lots], dtype=np.float64),
        entry=days([lot.entry for lot in lots]),
        exit=days([lot.exit for lot in lots]),
        as_of=days([lot.as_of for lot in lots]),
        expiration=days([lot.expiration for lot in lots]),
        strike=np.array([number(lot.strike) for lot in lots], dtype=np.float64),
        is_call=np.array([lot.is_call for lot in lots], dtype=np.bool_),
        underlying=np.array([lot.underlying for lot in lots], dtype=np.int64),
    )


def run(world: World, *books: Book, sessions: Sequence[date] | None = None) -> Snapshots:
    flows = [(owner, *flow) for owner, book in enumerate(books) for flow in book.flows]
    lots = [lot for book in books for lot in book.lots]
    manual = [(row, *mark) for row, lot in enumerate(lots) for mark in lot.valuations]
    return value_portfolios(
        lots_of(books),
        Portfolios(
            equity=np.array([int(book.equity * 100) for book in books], dtype=np.int64),
            inception=days([book.inception for book in books]),
        ),
        Flows(
            portfolio=np.array([owner for owner, _, _ in flows], dtype=np.int64),
            day=days([day for _, day, _ in flows]),
            amount=np.array([int(amount * 100) for _, _, amount in flows], dtype=np.int64),
        ),
        Valuations(
            lot=np.array([row for row, _, _ in manual], dtype=np.int64),
            day=days([day for _, day, _ in manual]),
            price=np.array([float(price) for _, _, price in manual], dtype=np.float64),
        ),
        market_of(world),
        sessions=days(world.sessions if sessions is None else sessions),
    )


# ---------------------------------------------------------------- the oracle


def cents(dollars: D) -> int:
    return int((dollars * 100).quantize(D(1), rounding=ROUND_HALF_EVEN))


class LedgerClerk:
    """Keeps one portfolio's books by hand: one session after the other, one lot after the other."""

    def __init__(self, world: World, book: Book) -> None:
        self.world, self.book = world, book
        self.state = dict.fromkeys(range(len(book.lots)), "ahead")
        self.booked: set[int] = set()
        self.cash = self.realized = 0

    def close(self, column: int, t: int) -> tuple[D | None, bool]:
        if column < 0:
            return None, False
        for back in range(min(5, t) + 1):
            price = self.world.close[column][t - back]
            if price is not None:
                for split_column, ex, ratio in self.world.splits:
                    if split_column == column and self.world.sessions[t - back] < ex <= self.world.sessions[t]:
                        price /= ratio
                return price, back > 0
        return None, False

    def quantity(self, lot: Lot, t: int) -> D:
        quantity, today = lot.quantity, self.world.sessions[t]
        for column, ex, ratio in self.world.splits:
            if lot.kind != "private" and column == lot.column:
                if lot.as_of < ex <= today:
                    quantity *= ratio
                elif today < ex <= lot.as_of:
                    quantity /= ratio
        return quantity

    def price(self, row: int, t: int) -> tuple[D | None, bool]:
        lot, today = self.book.lots[row], self.world.sessions[t]
        if lot.kind == "private":
            price = lot.entry_price
            for day, mark in sorted(lot.valuations, key=lambda each: each[0]):
                price = mark if day <= today else price
            return price, False
        if self.state[row] == "stuck":
            return None, False
        return self.close(lot.column, t)

    def value(self, row: int, t: int) -> int | None:
        price, _ = self.price(row, t)
        lot = self.book.lots[row]
        return None if price is None else cents(self.quantity(lot, t) * price * lot.multiplier)

    def settlement(self, lot: Lot) -> int | None:
        sessions = self.world.sessions
        if lot.expiration is None or lot.expiration > sessions[-1]:
            return None
        return max((t for t, day in enumerate(sessions) if day <= lot.expiration), default=-1)

    def open_book(self, t: int) -> None:
        today = self.world.sessions[t]
        self.cash = cents(self.book.equity)
        for row, lot in enumerate(self.book.lots):
            settles = self.settlement(lot)
            if (lot.exit is not None and lot.exit <= today) or (settles is not None and settles <= t):
                self.state[row] = "gone"
            elif lot.entry <= today:
                self.state[row] = "open"
        self.book_first_prices(t)

    def book_first_prices(self, t: int) -> None:
        for row in self.open_rows():
            value = self.value(row, t)
            if row not in self.booked and value is not None:
                self.cash -= value
                self.booked.add(row)

    def open_rows(self) -> Iterator[int]:
        return (row for row, state in self.state.items() if state in {"open", "stuck"})

    def pay_dividends(self, t: int) -> None:
        yesterday, today = self.world.sessions[t - 1], self.world.sessions[t]
        for column, ex, amount in self.world.dividends:
            for row in self.open_rows():
                lot = self.book.lots[row]
                if lot.kind == "public" and lot.column == column and row in self.booked and yesterday < ex <= today:
                    self.cash += cents(self.quantity(lot, t - 1) * amount)

    def trade(self, t: int) -> None:
        today = self.world.sessions[t]
        for row, lot in enumerate(self.book.lots):
            cost = cents(lot.quantity * lot.entry_price * lot.multiplier)
            if self.state[row] == "ahead" and lot.entry <= today:
                self.state[row] = "open"
                self.booked.add(row)
                self.cash -= cost
            if self.state[row] in {"open", "stuck"} and lot.exit is not None and lot.exit <= today:
                assert lot.exit_price is not None
                proceeds = cents(lot.quantity * lot.exit_price * lot.multiplier)
                self.cash += proceeds if row in self.booked else proceeds - cost
                self.realized += proceeds - cost
                self.state[row] = "gone"
            if self.state[row] == "open" and lot.kind == "option" and self.settlement(lot) == t:
                self.settle(row, t, cost)

    def settle(self, row: int, t: int, cost: int) -> None:
        lot = self.book.lots[row]
        spot, _ = self.close(lot.underlying, t)
        if spot is None:
            self.state[row] = "stuck"
            return
        assert lot.strike is not None
        intrinsic = max(spot - lot.strike if lot.is_call else lot.strike - spot, D(0))
        if row in self.booked:
            payout = cents(self.quantity(lot, t) * lot.multiplier * intrinsic)
            self.cash += payout
            self.realized += payout - cost
        self.state[row] = "gone"

    def snapshots(self) -> Iterator[dict[str, Any]]:
        sessions = self.world.sessions
        before: dict[str, Any] = {}
        for t, today in enumerate(sessions):
            flow = 0
            if today < self.book.inception:
                continue
            if not before:
                self.open_book(t)
            else:
                self.pay_dividends(t)
                self.trade(t)
                self.book_first_prices(t)
                flow = sum(cents(amount) for day, amount in self.book.flows if sessions[t - 1] < day <= today)
                self.cash += flow
            before = self.snapshot(t, flow, before)
            yield before

    def snapshot(self, t: int, flow: int, before: dict[str, Any]) -> dict[str, Any]:
        lots, counted = self.book.lots, list(self.open_rows())
        values = {row: value for row in counted if (value := self.value(row, t)) is not None}
        market_rows = [row for row in counted if lots[row].kind != "private"]
        nav = self.cash + sum(values.values())
        pnl = nav - before["nav"] - flow if before else 0
        daily = (pnl / before["nav"] if before["nav"] > 0 else float("nan")) if before else 0.0
        chained = (1 + before["cumulative_return"]) * (1 + daily) - 1 if before else 0.0
        return {
            "t": t,
            "nav": nav,
            "cash": self.cash,
            "long_value": sum(value for row, value in values.items() if lots[row].quantity > 0),
            "short_value": sum(value for row, value in values.items() if lots[row].quantity < 0),
            "net": sum(values.values()),
            "gross": sum(map(abs, values.values())),
            "flow": flow,
            "daily_pnl": pnl,
            "daily_return": daily,
            "cumulative_return": chained,
            "realized_pnl": self.realized,
            "unrealized_pnl": sum(
                value - cents(lots[row].quantity * lots[row].entry_price * lots[row].multiplier)
                for row, value in values.items()
            ),
            "positions": len(counted),
            "long_count": sum(lots[row].quantity > 0 for row in counted),
            "short_count": sum(lots[row].quantity < 0 for row in counted),
            "coverage": sum(row in values for row in market_rows) / len(market_rows) if market_rows else 1.0,
            **self.concentration(values, nav),
            "value": [values.get(row, 0) for row in range(len(lots))],
            "counted": [row in counted for row in range(len(lots))],
            "priced": [row in values for row in range(len(lots))],
            "stale": [row in values and self.price(row, t)[1] for row in range(len(lots))],
        }

    def concentration(self, values: dict[int, int], nav: int) -> dict[str, Any]:
        gross, nan = sum(map(abs, values.values())), float("nan")
        leverage = gross / nav if nav > 0 else nan
        if gross == 0:
            names = ("hhi", "effective_positions", "top3_weight", "top10_weight")
            return {**dict.fromkeys(names, nan), "leverage": leverage}
        holdings: dict[int, int] = defaultdict(int)
        for row, value in values.items():
            holdings[self.book.lots[row].holding] += abs(value)
        weights = sorted((value / gross for value in holdings.values()), reverse=True)
        hhi = 10_000 * sum(weight * weight for weight in weights)
        return {
            "hhi": hhi,
            "effective_positions": 10_000 / hhi,
            "top3_weight": sum(weights[:3]),
            "top10_weight": sum(weights[:10]),
            "leverage": leverage,
        }


def assert_matches_the_clerk(result: Snapshots, world: World, books: Sequence[Book]) -> None:
    row = 0
    for owner, book in enumerate(books):
        rows = slice(row, row + len(book.lots))
        row = rows.stop
        for expected in LedgerClerk(world, book).snapshots():
            t = expected.pop("t")
            assert result.started[owner, t]
            for name, value in expected.items():
                array = getattr(result, name)
                found = array[rows, t] if name in PER_LOT else array[owner, t]
                if array.dtype == np.float64:
                    np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-11, err_msg=f"{name} at {t}")
                else:
                    np.testing.assert_array_equal(found, value, err_msg=f"{name} at {t}")


# ---------------------------------------------------------------- generated ledgers

# Quantities are multiples of 144 and prices whole cents, so that every product of two split ratios leaves whole
# cents: the comparison is exact, with no ties to round.
any_session = st.integers(0, len(SESSIONS) - 1).map(lambda t: SESSIONS[t])
any_day = st.integers(-10, 50).map(lambda offset: SESSIONS[0] + timedelta(days=offset))
money = st.integers(100, 20_000).map(lambda amount: D(amount) / 100)
quantities = st.sampled_from([144, 288, -144, -432]).map(D)


@st.composite
def series(draw: st.DrawFn) -> tuple[D | None, ...]:
    prices: list[D | None] = list(draw(st.lists(money, min_size=len(SESSIONS), max_size=len(SESSIONS))))
    for start, length in draw(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), max_size=3)):
        prices[start : start + length] = [None] * len(prices[start : start + length])
    return tuple(prices)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ratios = st.sampled_from(["2", "3", "4", "0.5"]).map(D)
    splits = [
        (column, day, ratio)
        for column in range(2)
        for day, ratio in draw(st.lists(st.tuples(any_session, ratios), max_size=2, unique_by=lambda each: each[0]))
    ]
    dividends = draw(st.lists(st.tuples(st.integers(0, 2), any_session, money), max_size=4))
    return World(close=tuple(draw(series()) for _ in range(4)), splits=tuple(splits), dividends=tuple(dividends))


@st.composite
def some_lots(draw: st.DrawFn) -> Lot:
    kind = draw(st.sampled_from(["public", "public", "option", "private"]))
    entry = draw(any_day)
    exits = draw(st.none() | st.integers(0, 30))
    lot = Lot(
        kind=kind,
        quantity=draw(quantities),
        column={"public": draw(st.integers(0, 2)), "option": 3, "private": -1}[kind],
        entry=entry,
        entry_price=draw(money),
        exit=None if exits is None else entry + timedelta(days=exits),
        exit_price=None if exits is None else draw(money),
        as_of=draw(any_day),
        holding=draw(st.integers(0, 4)),
    )
    if kind == "private":
        return replace(lot, valuations=tuple(draw(st.lists(st.tuples(any_day, money), max_size=3))))
    if kind == "public":
        return lot
    # An option entered at a weekend cannot expire that same weekend: its settlement would precede its entry.
    return replace(
        lot,
        expiration=entry + timedelta(days=draw(st.integers(2, 40))),
        strike=draw(money),
        is_call=draw(st.booleans()),
        underlying=draw(st.integers(-1, 1)),
    )


@st.composite
def some_books(draw: st.DrawFn) -> Book:
    return Book(
        lots=tuple(draw(st.lists(some_lots(), max_size=5))),
        equity=draw(st.integers(0, 100_000).map(D)),
        inception=draw(any_day),
        flows=tuple(draw(st.lists(st.tuples(any_day, st.integers(-5000, 5000).map(D)), max_size=3))),
    )


ledgers = st.lists(some_books(), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(worlds(), ledgers)
def test_any_ledger_is_kept_to_the_cent_like_the_exact_simulator(world: World, books: list[Book]) -> None:
    result = run(world, *books)
    assert_matches_the_clerk(result, world, books)
    np.testing.assert_array_equal(result.nav, result.cash + result.long_value + result.short_value)


def assert_same_bits(found: Snapshots, expected: Snapshots, rows: Any, owners: Any) -> None:
    for each in fields(Snapshots):
        index = rows if each.name in PER_LOT else owners
        a, b = getattr(found, each.name)[index], getattr(expected, each.name)
        assert a.tobytes() == np.ascontiguousarray(b).tobytes(), each.name


@settings(max_examples=40, deadline=None)
@given(worlds(), ledgers, st.sampled_from([1, 60, 200]))
def test_a_portfolio_is_the_same_to_the_bit_alone_or_with_others_however_chunked(
    world: World, books: list[Book], cells: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(valuation, "_CHUNK_CELLS", cells)
        together = run(world, *books)
    row = 0
    for owner, book in enumerate(books):
        rows = slice(row, row + len(book.lots))
        row = rows.stop
        assert_same_bits(together, run(world, book), rows, slice(owner, owner + 1))


@settings(max_examples=30, deadline=None)
@given(worlds(), ledgers)
def test_the_order_of_portfolios_changes_nobodys_numbers(world: World, books: list[Book]) -> None:
    forward, backward = run(world, *books), run(world, *books[::-1])
    lot_rows = np.arange(sum(len(book.lots) for book in books))
    cuts = np.cumsum([len(book.lots) for book in books[::-1]])[:-1]
    rows = np.concatenate(np.split(lot_rows, cuts)[::-1])
    assert_same_bits(backward, forward, rows, slice(None, None, -1))


@settings(max_examples=20, deadline=None)
@given(worlds(), ledgers)
def test_sessions_asked_for_one_by_one_equal_those_asked_for_together(world: World, books: list[Book]) -> None:
    together = run(world, *books)
    for t in (0, 7, 8, 20, 29):
        alone = run(world, *books, sessions=[SESSIONS[t]])
        everything = slice(None)
        for each in fields(Snapshots):
            a, b = getattr(alone, each.name), getattr(together, each.name)[:, t : t + 1]
            assert a[everything].tobytes() == np.ascontiguousarray(b).tobytes(), each.name


@settings(max_examples=40, deadline=None)
@given(worlds(), worlds(), ledgers, st.integers(0, len(SESSIONS) - 2))
def test_later_market_data_never_reach_back(world: World, other: World, books: list[Book], t: int) -> None:
    early = [
        replace(book, lots=tuple(replace(lot, as_of=min(lot.as_of, SESSIONS[t])) for lot in book.lots))
        for book in books
    ]
    day = SESSIONS[t]
    mixed = World(
        close=tuple((*a[: t + 1], *b[t + 1 :]) for a, b in zip(world.close, other.close, strict=True)),
        splits=tuple(
            [each for each in world.splits if each[1] <= day] + [each for each in other.splits if each[1] > day]
        ),
        dividends=tuple(
            [each for each in world.dividends if each[1] <= day] + [each for each in other.dividends if each[1] > day]
        ),
    )
    expected = run(world, *early, sessions=SESSIONS[: t + 1])
    assert_same_bits(run(mixed, *early, sessions=SESSIONS[: t + 1]), expected, slice(None), slice(None))


# ---------------------------------------------------------------- one rule at a time


def flat(price: float | str = 10, **changes: float | str | None) -> tuple[D | None, ...]:
    """A constant series, save for the sessions named t7, t8 and so on."""
    prices: list[D | None] = [D(str(price))] * len(SESSIONS)
    for name, value in changes.items():
        prices[int(name[1:])] = None if value is None else D(str(value))
    return tuple(prices)


def gap(first: int, last: int) -> dict[str, None]:
    return {f"t{t}": None for t in range(first, last + 1)}


def dollars(values: Any) -> list[float]:
    return [int(value) / 100 for value in np.ravel(values)]


def test_cash_at_the_start_is_equity_less_positions_and_may_be_negative() -> None:
    result = run(World((flat(10),)), Book((Lot(D(1500)),)))
    assert dollars(result.cash[0, 6:8]) == [-5000, -5000]
    assert dollars(result.nav[0, 6:8]) == [10_000, 10_000]
    assert result.leverage[0, 6] == 1.5


def test_nothing_is_reported_before_the_inception_session() -> None:
    result = run(World((flat(10),)), Book((Lot(),)))
    assert not result.started[0, 5]
    assert result.nav[0, 5] == result.positions[0, 5] == 0
    assert np.isnan([result.daily_return[0, 5], result.coverage[0, 5], result.leverage[0, 5]]).all()
    assert not result.counted[0, 5]


def test_an_inception_at_a_weekend_starts_on_the_next_session() -> None:
    result = run(World((flat(10),)), Book(inception=date(2024, 1, 6)))
    assert result.started[0].tolist() == [False] * 5 + [True] * 25


def test_an_inception_after_the_last_session_never_starts() -> None:
    result = run(World((flat(10),)), Book((Lot(),), inception=date(2030, 1, 1)))
    assert not result.started.any()
    assert not result.nav.any()


def test_a_stale_close_serves_five_sessions_and_no_longer() -> None:
    result = run(World((flat(10, **gap(8, 20)),)), Book((Lot(),)))
    assert result.stale[0, 7:15].tolist() == [False, True, True, True, True, True, False, False]
    assert result.priced[0, 12]
    assert not result.priced[0, 13]
    assert result.counted[0, 13]
    assert result.coverage[0, 12:14].tolist() == [1, 0]
    assert dollars(result.nav[0, 12:14]) == [10_000, 9_000]


def test_a_stale_close_from_before_a_split_is_restated() -> None:
    world = World((flat(10, t8=None, t9=5),), splits=((0, SESSIONS[8], D(2)),))
    result = run(world, Book((Lot(),)))
    assert dollars(result.value[0, 7:9]) == [1000, 1000]


def test_a_split_leaves_nav_as_it_was_when_the_price_follows() -> None:
    halves = tuple(D(10) if t < 10 else D(5) for t in range(30))
    result = run(World((halves,), splits=((0, SESSIONS[10], D(2)),)), Book((Lot(), Lot(D(-30)))))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert set(dollars(result.unrealized_pnl[0, 6:])) == {0}


def test_a_quantity_stated_after_a_split_is_undone_for_earlier_sessions() -> None:
    halves = tuple(D(10) if t < 10 else D(5) for t in range(30))
    world = World((halves,), splits=((0, SESSIONS[10], D(2)),))
    result = run(world, Book((Lot(D(200), as_of=SESSIONS[20], entry_price=D(5)),)))
    assert set(dollars(result.value[0, 6:])) == {1000}


def test_a_quantity_as_of_the_ex_date_already_includes_the_split() -> None:
    world = World((flat(10),), splits=((0, SESSIONS[10], D(2)),))
    result = run(world, Book((Lot(as_of=SESSIONS[10]),)))
    assert dollars(result.value[0, 9:11]) == [500, 1000]


def test_a_later_entry_costs_its_price_and_the_day_shows_the_difference_to_the_close() -> None:
    result = run(World((flat(10),)), Book((Lot(entry=SESSIONS[8], entry_price=D(9)),)))
    assert dollars(result.cash[0, 7:9]) == [10_000, 9_100]
    assert dollars(result.daily_pnl[0, 7:10]) == [0, 100, 0]


def test_a_later_entry_without_a_price_is_paid_for_all_the_same() -> None:
    result = run(World((flat(10, **gap(0, 9)),)), Book((Lot(entry=SESSIONS[8]),)))
    assert dollars(result.nav[0, 7:11]) == [10_000, 9_000, 9_000, 10_000]


def test_an_exit_turns_the_position_into_cash_and_realizes_its_profit() -> None:
    lot = Lot(entry_price=D(8), exit=SESSIONS[9], exit_price=D(12))
    result = run(World((flat(10),)), Book((lot,)))
    assert dollars(result.cash[0, 8:10]) == [9_000, 10_200]
    assert dollars(result.realized_pnl[0, 8:11]) == [0, 400, 400]
    assert dollars(result.unrealized_pnl[0, 8:10]) == [200, 0]
    assert result.positions[0, 8:10].tolist() == [1, 0]


def test_a_lot_closed_by_the_start_never_enters() -> None:
    lot = Lot(exit=SESSIONS[6], exit_price=D(12))
    result = run(World((flat(10),)), Book((lot,)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert not result.realized_pnl.any()
    assert not result.counted.any()


def test_a_lot_bought_and_sold_within_one_session_leaves_its_profit() -> None:
    lot = Lot(entry=date(2024, 1, 13), exit=date(2024, 1, 14), exit_price=D(11))
    result = run(World((flat(10),)), Book((lot,)))
    assert dollars(result.nav[0, 9:11]) == [10_000, 10_100]
    assert dollars(result.realized_pnl[0, 10:11]) == [100]
    assert not result.counted.any()


def test_an_opening_lot_without_a_price_enters_at_its_first_one_and_moves_nothing() -> None:
    result = run(World((flat(10, **gap(0, 9)),)), Book((Lot(),)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert dollars(result.cash[0, 9:11]) == [10_000, 9_000]
    assert result.coverage[0, 9:11].tolist() == [0, 1]


def test_an_opening_lot_that_exits_before_its_first_price_enters_at_cost() -> None:
    lot = Lot(exit=SESSIONS[8], exit_price=D(12))
    result = run(World((flat(10, **gap(0, 20)),)), Book((lot,)))
    assert dollars(result.nav[0, 7:9]) == [10_000, 10_200]
    assert dollars(result.realized_pnl[0, 8:9]) == [200]


CALL = Lot(D(2), 1, "option", entry_price=D(3), expiration=SESSIONS[10], strike=D(8), underlying=0)


def test_an_option_counts_a_hundred_units_and_settles_at_intrinsic_value() -> None:
    result = run(World((flat(10), flat(3))), Book((CALL,)))
    assert dollars(result.value[0, 9:11]) == [600, 0]
    assert dollars(result.cash[0, 9:11]) == [9_400, 9_800]
    assert dollars(result.realized_pnl[0, 9:11]) == [0, -200]
    assert result.counted[0, 9:11].tolist() == [True, False]


def test_an_option_out_of_the_money_expires_worthless() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, is_call=False),)))
    assert dollars(result.nav[0, 9:11]) == [10_000, 9_400]


def test_a_written_put_is_short_and_pays_its_holder_at_expiry() -> None:
    put = replace(CALL, quantity=D(-1), is_call=False, strike=D(15))
    result = run(World((flat(10), flat(3))), Book((put,)))
    assert dollars(result.short_value[0, 9:10]) == [-300]
    assert result.short_count[0, 9] == 1
    assert dollars(result.cash[0, 9:11]) == [10_300, 9_800]


def test_an_expiration_on_a_day_that_is_no_session_settles_on_the_session_before() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, expiration=date(2024, 1, 13)),)))
    assert result.counted[0, 8:10].tolist() == [True, False]


def test_an_expiration_beyond_the_known_sessions_does_not_settle_yet() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, expiration=date(2024, 2, 10)),)))
    assert result.counted[0, 29]
    assert dollars(result.nav[0, 29:]) == [10_000]


def test_an_option_whose_underlying_is_unpriced_at_expiry_stays_a_missing_position() -> None:
    result = run(World((flat(10, **gap(3, 11)), flat(3))), Book((CALL,)))
    assert result.counted[0, 9:].all()
    assert result.priced[0, 9]
    assert not result.priced[0, 10:].any()
    assert dollars(result.nav[0, 9:11]) == [10_000, 9_400]


def test_an_option_settles_against_a_stale_close_of_its_underlying() -> None:
    result = run(World((flat(10, **gap(6, 20)), flat(3))), Book((CALL,)))
    assert dollars(result.cash[0, 10:11]) == [9_800]


def test_an_option_expired_by_the_start_never_enters() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, expiration=SESSIONS[6]),)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert not result.counted.any()


def test_an_option_never_priced_before_its_expiry_leaves_the_books_alone() -> None:
    result = run(World((flat(10), (None,) * 30)), Book((CALL,)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert not result.realized_pnl.any()


def test_an_option_closed_on_its_last_day_takes_the_exit_price() -> None:
    lot = replace(CALL, exit=SESSIONS[10], exit_price=D(5))
    result = run(World((flat(10), flat(3))), Book((lot,)))
    assert dollars(result.cash[0, 9:11]) == [9_400, 10_400]


def test_a_private_asset_is_worth_its_latest_valuation_and_never_needs_a_market_price() -> None:
    lot = Lot(column=-1, kind="private", valuations=((SESSIONS[9], D(13)), (SESSIONS[8], D(12))))
    result = run(World((flat(99),)), Book((lot,)))
    assert dollars(result.value[0, 6:11]) == [1000, 1000, 1200, 1300, 1300]
    assert result.coverage[0, 6] == 1
    assert result.priced[0, 6:].all()
    assert not result.stale.any()


def test_a_dividend_is_received_by_longs_and_owed_by_shorts_on_the_ex_date() -> None:
    world = World((flat(10),), dividends=((0, SESSIONS[9], D("0.5")),))
    result = run(world, Book((Lot(),)), Book((Lot(D(-40)),)))
    assert dollars(result.daily_pnl[0, 8:11]) == [0, 50, 0]
    assert dollars(result.daily_pnl[1, 8:11]) == [0, -20, 0]
    assert not result.realized_pnl.any()


def test_a_dividend_goes_to_those_who_held_on_the_session_before_its_ex_date() -> None:
    world = World((flat(10),), dividends=((0, SESSIONS[9], D("0.5")),))
    buyer = Lot(entry=SESSIONS[9])
    seller = Lot(exit=SESSIONS[9], exit_price=D(10))
    late = Book((Lot(),), inception=SESSIONS[9])
    result = run(world, Book((buyer,)), Book((seller,)), late)
    assert dollars(result.nav[:, 10]) == [10_000, 10_050, 10_000]


def test_a_dividend_is_paid_on_the_quantity_before_a_split_of_the_same_day() -> None:
    world = World((flat(10),), splits=((0, SESSIONS[9], D(2)),), dividends=((0, SESSIONS[9], D("0.5")),))
    result = run(world, Book((Lot(),)))
    assert dollars(np.diff(result.cash[0, 8:10])) == [50]


def test_a_flow_moves_cash_on_its_session_and_is_no_profit() -> None:
    book = Book(flows=((date(2024, 1, 13), D(500)), (SESSIONS[12], D(-200))))
    result = run(World((flat(10),)), book)
    assert dollars(result.flow[0, 9:13]) == [0, 500, 0, -200]
    assert dollars(result.nav[0, 9:13]) == [10_000, 10_500, 10_500, 10_300]
    assert not result.daily_pnl.any()


def test_a_flow_up_to_the_start_is_part_of_the_opening_equity() -> None:
    book = Book(flows=((SESSIONS[6], D(500)), (SESSIONS[2], D(500))))
    result = run(World((flat(10),)), book)
    assert dollars(result.nav[0, 6:8]) == [10_000, 10_000]
    assert not result.flow.any()


def test_cumulative_return_chains_daily_returns_and_ignores_flows() -> None:
    world = World((flat(10, t7=11, t8=12),))
    result = run(world, Book((Lot(),), equity=D(1000), flows=((SESSIONS[7], D(1100)),)))
    np.testing.assert_allclose(result.daily_return[0, 6:9], [0, 0.1, 100 / 2200])
    np.testing.assert_allclose(result.cumulative_return[0, 8], 1.1 * (1 + 100 / 2200) - 1)


def test_a_return_on_worthless_equity_is_unknown_and_so_is_all_that_chains_on_it() -> None:
    world = World((flat(10, t7=1),))
    result = run(world, Book((Lot(),), equity=D(900)))
    assert dollars(result.nav[0, 6:9]) == [900, 0, 900]
    assert np.isnan(result.leverage[0, 7])
    assert result.daily_return[0, 7] == -1
    assert np.isnan(result.daily_return[0, 8])
    assert result.daily_return[0, 9] == 0
    assert np.isnan(result.cumulative_return[0, 8:]).all()


def test_concentration_adds_up_lots_of_the_same_symbol() -> None:
    lots = tuple(Lot(holding=holding) for holding in (7, 7, 1, 2))
    result = run(World((flat(10),)), Book(lots))
    assert result.hhi[0, 6] == pytest.approx(10_000 * (0.25 + 0.0625 * 2))
    assert result.effective_positions[0, 6] == pytest.approx(1 / 0.375)
    assert result.top3_weight[0, 6] == 1


def test_the_top_weights_take_the_largest_three_and_ten_whatever_their_sign() -> None:
    sizes = [D(size if size % 2 else -size) for size in range(1, 13)]
    lots = tuple(Lot(size, holding=row) for row, size in enumerate(sizes))
    result = run(World((flat(10),)), Book(lots))
    assert result.top3_weight[0, 6] == pytest.approx((12 + 11 + 10) / 78)
    assert result.top10_weight[0, 6] == pytest.approx((78 - 1 - 2) / 78)
    assert (result.long_count[0, 6], result.short_count[0, 6], result.positions[0, 6]) == (6, 6, 12)


def test_a_portfolio_of_cash_has_no_concentration_and_full_coverage() -> None:
    result = run(World((flat(10),)), Book())
    assert result.coverage[0, 6] == 1
    assert result.leverage[0, 6] == 0
    assert np.isnan([result.hhi[0, 6], result.effective_positions[0, 6], result.top3_weight[0, 6]]).all()


def test_every_value_is_rounded_to_whole_cents_before_it_is_summed() -> None:
    lots = (Lot(D("0.3333"), holding=1), Lot(D("0.3333"), holding=2))
    result = run(World((flat("10.01"),)), Book(lots))
    assert result.value[:, 6].tolist() == [334, 334]
    assert result.long_value[0, 6] == 668


@pytest.mark.parametrize("count", [0, 1])
def test_no_lots_at_all_is_a_valid_ledger(count: int) -> None:
    result = run(World((flat(10),)), *[Book()] * count, sessions=SESSIONS[:8])
    assert result.nav.shape == (count, 8)
    assert result.value.shape == (0, 8)


def test_asking_for_no_session_gives_empty_snapshots() -> None:
    result = run(World((flat(10),)), Book((Lot(),)), sessions=[])
    assert result.nav.shape == (1, 0)
    assert result.value.shape == (1, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry_price": D("NaN")}, "entry price"),
        ({"exit": SESSIONS[9]}, "exit price"),
        ({"column": 1}, "price column"),
    ],
)
def test_a_lot_that_cannot_be_accounted_for_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(World((flat(10),)), Book((replace(Lot(), **change),)))


def test_a_session_the_market_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="session"):
        run(World((flat(10),)), Book(), sessions=[date(2024, 1, 6)])


def test_lots_out_of_order_are_refused() -> None:
    world, books = World((flat(10),)), [Book((Lot(),)), Book((Lot(),))]
    lots = replace(lots_of(books), portfolio=np.array([1, 0]))
    none = Flows(portfolio=np.array([], dtype=np.int64), day=days([]), amount=np.array([], dtype=np.int64))
    marks = Valuations(lot=np.array([], dtype=np.int64), day=days([]), price=np.array([], dtype=np.float64))
    portfolios = Portfolios(equity=np.array([1, 1]), inception=days([SESSIONS[0]] * 2))
    with pytest.raises(ValueError, match="ordered by portfolio"):
        value_portfolios(lots, portfolios, none, marks, market_of(world), sessions=days(SESSIONS))


# ---------------------------------------------------------------- weights of groups


def cells(*rows: Sequence[int]) -> Ints:
    return np.array(rows, dtype=np.int64)


def test_a_group_weighs_its_share_of_gross_value() -> None:
    value, group = cells([100], [100], [100], [100]), cells([1], [1], [1], [0])
    weights = group_weights(value, np.zeros(4, dtype=np.int64), group, 1, 3)
    assert weights.tolist() == [[[0.25, 0.75, 0.0]]]


def test_a_short_adds_to_the_weight_of_its_group_as_a_long_does() -> None:
    weights = group_weights(cells([300], [-100], [-100]), np.zeros(3, dtype=np.int64), cells([0], [0], [1]), 1, 2)
    assert weights.tolist() == [[[0.8, 0.2]]]


def test_a_lot_weighs_in_the_group_it_belongs_to_on_each_session() -> None:
    value, group = cells([100, 100], [300, 300]), cells([0, 1], [1, 1])
    weights = group_weights(value, np.zeros(2, dtype=np.int64), group, 1, 2)
    assert weights.tolist() == [[[0.25, 0.75], [0.0, 1.0]]]


def test_groups_have_no_weight_in_a_portfolio_without_gross_value() -> None:
    weights = group_weights(cells([0, 100], [100, 0]), np.array([0, 2]), cells([1, 1], [1, 1]), 4, 2)
    assert np.isnan(weights).all(axis=2).tolist() == [[True, False], [True, True], [False, True], [True, True]]
    assert weights[0, 1].tolist() == weights[2, 0].tolist() == [0.0, 1.0]


def test_the_weights_of_groups_are_exact_where_floats_would_lose_cents() -> None:
    value, group = cells([2**53], [1], [1], [2**53 + 2]), cells([0], [0], [0], [1])
    assert group_weights(value, np.zeros(4, dtype=np.int64), group, 1, 2).tolist() == [[[0.5, 0.5]]]


@pytest.mark.parametrize(("lots", "count", "groups"), [(0, 0, 0), (0, 2, 0), (0, 2, 3), (3, 1, 1)])
def test_no_lots_or_no_sessions_give_weights_of_the_shape_asked_for(lots: int, count: int, groups: int) -> None:
    for sessions in (0, 2):
        nothing = np.zeros((lots, sessions), dtype=np.int64)
        weights = group_weights(nothing, np.zeros(lots, dtype=np.int64), nothing, count, groups)
        assert weights.shape == (count, sessions, groups)
        assert np.isnan(weights).all()


@pytest.mark.parametrize("group", [-1, 3])
def test_a_group_that_does_not_exist_is_refused(group: int) -> None:
    with pytest.raises(ValueError, match=r"groups must lie in 0\.\.2"):
        group_weights(cells([100], [100]), np.array([0, 1]), cells([0], [group]), 2, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_the_weights_of_groups_match_a_plain_loop_and_depend_on_no_other_portfolio(seed: int, lots: int) -> None:
    generator = np.random.default_rng(seed)
    count, sessions, groups = 4, 3, 5
    portfolio = np.sort(generator.integers(0, count, lots))
    group = generator.integers(0, groups, (lots, sessions))
    value = generator.integers(-10_000_00, 10_000_00, (lots, sessions)) * (generator.random((lots, sessions)) < 0.7)
    together = group_weights(value, portfolio, group, count, groups)
    for owner in range(count):
        mine = portfolio == owner
        alone = group_weights(value[mine], np.zeros(mine.sum(), dtype=np.int64), group[mine], 1, groups)
        assert alone[0].tobytes() == together[owner].tobytes()
        for session in range(sessions):
            gross = [0] * groups
            for row in np.flatnonzero(mine):
                gross[group[row, session]] += abs(int(value[row, session]))
            expected = [each / sum(gross) if sum(gross) else float("nan") for each in gross]
            np.testing.assert_array_equal(together[owner, session], expected)


def test_the_sessions_of_the_tests_are_weekdays_in_order() -> None:
    assert all(a < b for a, b in pairwise(SESSIONS))
    assert all(day.weekday() < 5 for day in SESSIONS)

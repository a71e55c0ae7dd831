"""Portfolio valuation of generated ledgers against an independent, slow, exact simulator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from decimal import ROUND_HALF_EVEN
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_cases import SESSIONS, Book, D, Lot, World, run

from closingbell.calculations.valuation import Snapshots, chunks

PER_LOT = ("value", "counted", "priced", "stale")


def cents(dollars: D) -> int:
    return int((dollars * 100).quantize(D(1), rounding=ROUND_HALF_EVEN))


class LedgerSimulator:
    """Keeps the books of one portfolio, session by session and lot by lot, in exact decimals."""

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
            for day, mark in sorted(lot.valuations, key=lambda valuation: valuation[0]):
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


def assert_matches_the_simulator(result: Snapshots, world: World, books: Sequence[Book]) -> None:
    row = 0
    for owner, book in enumerate(books):
        rows = slice(row, row + len(book.lots))
        row = rows.stop
        for expected in LedgerSimulator(world, book).snapshots():
            t = expected.pop("t")
            assert result.started[owner, t]
            for name, value in expected.items():
                array = getattr(result, name)
                actual = array[rows, t] if name in PER_LOT else array[owner, t]
                if array.dtype == np.float64:
                    np.testing.assert_allclose(actual, value, rtol=1e-11, atol=1e-11, err_msg=f"{name} at {t}")
                else:
                    np.testing.assert_array_equal(actual, value, err_msg=f"{name} at {t}")


# --- generated ledgers ---

# Quantities are multiples of 144 and prices are in cents. Values after two splits are then integer cents, and the
# comparison is exact, without ties to round.
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
        for day, ratio in draw(st.lists(st.tuples(any_session, ratios), max_size=2, unique_by=lambda split: split[0]))
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
    # An option that is entered and expires on the same weekend would settle before its entry.
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
def test_any_ledger_gives_the_same_cents_as_the_exact_simulator(world: World, books: list[Book]) -> None:
    result = run(world, *books)
    assert_matches_the_simulator(result, world, books)
    np.testing.assert_array_equal(result.nav, result.cash + result.long_value + result.short_value)


def assert_same_bits(actual: Snapshots, expected: Snapshots, rows: Any, owners: Any) -> None:
    for field in fields(Snapshots):
        index = rows if field.name in PER_LOT else owners
        a, b = getattr(actual, field.name)[index], getattr(expected, field.name)
        assert a.tobytes() == np.ascontiguousarray(b).tobytes(), field.name


@settings(max_examples=40, deadline=None)
@given(worlds(), ledgers, st.sampled_from([1, 60, 200]))
def test_a_portfolio_is_the_same_to_the_bit_alone_or_with_others_in_chunks_of_any_size(
    world: World, books: list[Book], cells: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_CELLS", cells)
        together = run(world, *books)
    row = 0
    for owner, book in enumerate(books):
        rows = slice(row, row + len(book.lots))
        row = rows.stop
        assert_same_bits(together, run(world, book), rows, slice(owner, owner + 1))


@settings(max_examples=30, deadline=None)
@given(worlds(), ledgers)
def test_the_order_of_the_portfolios_does_not_change_their_numbers(world: World, books: list[Book]) -> None:
    forward, backward = run(world, *books), run(world, *books[::-1])
    lot_rows = np.arange(sum(len(book.lots) for book in books))
    cuts = np.cumsum([len(book.lots) for book in books[::-1]])[:-1]
    rows = np.concatenate(np.split(lot_rows, cuts)[::-1])
    assert_same_bits(backward, forward, rows, slice(None, None, -1))


@settings(max_examples=20, deadline=None)
@given(worlds(), ledgers)
def test_sessions_requested_one_by_one_equal_those_requested_together(world: World, books: list[Book]) -> None:
    together = run(world, *books)
    for t in (0, 7, 8, 20, 29):
        alone = run(world, *books, sessions=[SESSIONS[t]])
        for field in fields(Snapshots):
            a, b = getattr(alone, field.name), getattr(together, field.name)[:, t : t + 1]
            assert a.tobytes() == np.ascontiguousarray(b).tobytes(), field.name


@settings(max_examples=40, deadline=None)
@given(worlds(), worlds(), ledgers, st.integers(0, len(SESSIONS) - 2))
def test_later_market_data_do_not_change_earlier_sessions(
    world: World, other: World, books: list[Book], t: int
) -> None:
    early = [
        replace(book, lots=tuple(replace(lot, as_of=min(lot.as_of, SESSIONS[t])) for lot in book.lots))
        for book in books
    ]
    day = SESSIONS[t]
    mixed = World(
        close=tuple((*a[: t + 1], *b[t + 1 :]) for a, b in zip(world.close, other.close, strict=True)),
        splits=tuple(
            [split for split in world.splits if split[1] <= day] + [split for split in other.splits if split[1] > day]
        ),
        dividends=tuple(
            [payment for payment in world.dividends if payment[1] <= day]
            + [payment for payment in other.dividends if payment[1] > day]
        ),
    )
    expected = run(world, *early, sessions=SESSIONS[: t + 1])
    assert_same_bits(run(mixed, *early, sessions=SESSIONS[: t + 1]), expected, slice(None), slice(None))

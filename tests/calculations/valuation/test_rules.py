"""Portfolio valuation, one rule at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ledger_cases import SESSIONS, Book, D, Lot, World, days, dollars, flat, gap, lots_of, market_of, run

from closingbell.calculations.valuation import Flows, Portfolios, Valuations, value_portfolios


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


def test_a_stale_close_is_used_for_at_most_five_sessions() -> None:
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


def test_a_split_does_not_change_nav_when_the_price_follows() -> None:
    halves = tuple(D(10) if t < 10 else D(5) for t in range(30))
    result = run(World((halves,), splits=((0, SESSIONS[10], D(2)),)), Book((Lot(), Lot(D(-30)))))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert set(dollars(result.unrealized_pnl[0, 6:])) == {0}


def test_a_quantity_stated_after_a_split_is_restated_for_earlier_sessions() -> None:
    halves = tuple(D(10) if t < 10 else D(5) for t in range(30))
    world = World((halves,), splits=((0, SESSIONS[10], D(2)),))
    result = run(world, Book((Lot(D(200), as_of=SESSIONS[20], entry_price=D(5)),)))
    assert set(dollars(result.value[0, 6:])) == {1000}


def test_a_quantity_as_of_the_ex_date_already_includes_the_split() -> None:
    world = World((flat(10),), splits=((0, SESSIONS[10], D(2)),))
    result = run(world, Book((Lot(as_of=SESSIONS[10]),)))
    assert dollars(result.value[0, 9:11]) == [500, 1000]


def test_a_later_entry_costs_its_price_and_the_difference_to_the_close_is_profit_of_the_day() -> None:
    result = run(World((flat(10),)), Book((Lot(entry=SESSIONS[8], entry_price=D(9)),)))
    assert dollars(result.cash[0, 7:9]) == [10_000, 9_100]
    assert dollars(result.daily_pnl[0, 7:10]) == [0, 100, 0]


def test_a_later_entry_without_a_price_is_paid_for() -> None:
    result = run(World((flat(10, **gap(0, 9)),)), Book((Lot(entry=SESSIONS[8]),)))
    assert dollars(result.nav[0, 7:11]) == [10_000, 9_000, 9_000, 10_000]


def test_an_exit_turns_the_position_into_cash_and_realizes_its_profit() -> None:
    lot = Lot(entry_price=D(8), exit=SESSIONS[9], exit_price=D(12))
    result = run(World((flat(10),)), Book((lot,)))
    assert dollars(result.cash[0, 8:10]) == [9_000, 10_200]
    assert dollars(result.realized_pnl[0, 8:11]) == [0, 400, 400]
    assert dollars(result.unrealized_pnl[0, 8:10]) == [200, 0]
    assert result.positions[0, 8:10].tolist() == [1, 0]


def test_a_lot_closed_by_the_start_is_never_booked() -> None:
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


def test_an_opening_lot_without_a_price_is_booked_at_its_first_price_and_leaves_nav_unchanged() -> None:
    result = run(World((flat(10, **gap(0, 9)),)), Book((Lot(),)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert dollars(result.cash[0, 9:11]) == [10_000, 9_000]
    assert result.coverage[0, 9:11].tolist() == [0, 1]


def test_an_opening_lot_that_exits_before_its_first_price_is_booked_at_cost() -> None:
    lot = Lot(exit=SESSIONS[8], exit_price=D(12))
    result = run(World((flat(10, **gap(0, 20)),)), Book((lot,)))
    assert dollars(result.nav[0, 7:9]) == [10_000, 10_200]
    assert dollars(result.realized_pnl[0, 8:9]) == [200]


CALL = Lot(D(2), 1, "option", entry_price=D(3), expiration=SESSIONS[10], strike=D(8), underlying=0)


def test_an_option_stands_for_a_hundred_units_and_settles_at_intrinsic_value() -> None:
    result = run(World((flat(10), flat(3))), Book((CALL,)))
    assert dollars(result.value[0, 9:11]) == [600, 0]
    assert dollars(result.cash[0, 9:11]) == [9_400, 9_800]
    assert dollars(result.realized_pnl[0, 9:11]) == [0, -200]
    assert result.counted[0, 9:11].tolist() == [True, False]


def test_an_option_out_of_the_money_expires_worthless() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, is_call=False),)))
    assert dollars(result.nav[0, 9:11]) == [10_000, 9_400]


def test_a_written_put_is_short_and_costs_its_intrinsic_value_at_expiry() -> None:
    put = replace(CALL, quantity=D(-1), is_call=False, strike=D(15))
    result = run(World((flat(10), flat(3))), Book((put,)))
    assert dollars(result.short_value[0, 9:10]) == [-300]
    assert result.short_count[0, 9] == 1
    assert dollars(result.cash[0, 9:11]) == [10_300, 9_800]


def test_an_expiration_on_a_day_that_is_not_a_session_settles_on_the_session_before() -> None:
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


def test_an_option_expired_by_the_start_is_never_booked() -> None:
    result = run(World((flat(10), flat(3))), Book((replace(CALL, expiration=SESSIONS[6]),)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert not result.counted.any()


def test_an_option_never_priced_before_its_expiry_is_not_booked() -> None:
    result = run(World((flat(10), (None,) * 30)), Book((CALL,)))
    assert set(dollars(result.nav[0, 6:])) == {10_000}
    assert not result.realized_pnl.any()


def test_an_option_closed_on_its_last_day_is_sold_at_the_exit_price() -> None:
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


def test_a_dividend_is_paid_to_lots_held_on_the_session_before_its_ex_date() -> None:
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


def test_a_flow_changes_cash_on_its_session_and_is_not_profit() -> None:
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


def test_a_return_on_zero_equity_is_unknown_and_so_is_the_cumulative_return_from_then_on() -> None:
    world = World((flat(10, t7=1),))
    result = run(world, Book((Lot(),), equity=D(900)))
    assert dollars(result.nav[0, 6:9]) == [900, 0, 900]
    assert np.isnan(result.leverage[0, 7])
    assert result.daily_return[0, 7] == -1
    assert np.isnan(result.daily_return[0, 8])
    assert result.daily_return[0, 9] == 0
    assert np.isnan(result.cumulative_return[0, 8:]).all()


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


def test_requesting_no_session_gives_empty_snapshots() -> None:
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
def test_a_lot_without_a_needed_price_or_column_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(World((flat(10),)), Book((replace(Lot(), **change),)))


def test_a_session_that_the_market_does_not_contain_is_refused() -> None:
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


def test_the_sessions_of_the_tests_are_weekdays_in_order() -> None:
    assert all(a < b for a, b in pairwise(SESSIONS))
    assert all(day.weekday() < 5 for day in SESSIONS)

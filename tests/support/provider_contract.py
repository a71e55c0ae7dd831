"""The tests of every market-data provider. Subclass `ProviderContract` and supply its fixtures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import OptionContract
from closingbell.providers.base import (
    BALANCE_LINES,
    CASH_FLOW_LINES,
    INCOME_LINES,
    Answer,
    MarketDataProvider,
    Outcome,
    Statement,
)

Range = tuple[date, date]

COLUMNS = ("sessions", "open", "high", "low", "close", "volume")


@cache
def nyse() -> SessionCalendar:
    """Return the calendar, made once because that takes seconds."""
    return SessionCalendar(date(2027, 12, 31))


class ProviderContract:
    """Tests that every provider passes.

    A subclass overrides the fixtures that raise, and the option fixtures if the provider has options. The fixtures are
    made for each test, so a provider that is slow to make belongs in a fixture of the module.
    """

    @pytest.fixture
    def provider(self) -> MarketDataProvider:
        """The provider under test."""
        raise NotImplementedError

    @pytest.fixture
    def known_stock(self) -> str:
        """A company with bars, a profile and statements."""
        raise NotImplementedError

    @pytest.fixture
    def known_fund(self) -> str:
        """A fund with bars and a profile."""
        raise NotImplementedError

    @pytest.fixture
    def unknown_symbol(self) -> str:
        """A symbol that the provider does not know."""
        raise NotImplementedError

    @pytest.fixture
    def busy_range(self) -> Range:
        """At least ten sessions on which both known symbols have bars."""
        raise NotImplementedError

    @pytest.fixture
    def quiet_range(self) -> Range:
        """A range without a session, such as a weekend."""
        raise NotImplementedError

    @pytest.fixture
    def known_option(self) -> OptionContract | None:
        """An expired contract with bars; None if the provider has no options."""
        return None

    @pytest.fixture
    def unknown_option(self) -> OptionContract | None:
        """A contract that never existed."""
        return None

    @pytest.fixture
    def calendar(self) -> SessionCalendar:
        return nyse()

    @pytest.fixture
    def option(self, known_option: OptionContract | None) -> OptionContract:
        if known_option is None:
            pytest.skip("this provider has no options")
        return known_option

    def test_the_provider_has_a_name(self, provider: MarketDataProvider) -> None:
        assert provider.name

    @pytest.mark.parametrize("year", [1995, 2010, 2022, 2026])
    def test_the_latest_session_is_a_session_that_has_closed(
        self, provider: MarketDataProvider, calendar: SessionCalendar, year: int
    ) -> None:
        for closed in calendar.sessions(date(year, 6, 1), date(year, 6, 20)):
            latest = provider.latest_session(closed)

            assert latest <= closed
            assert calendar.is_session(latest)

    def test_every_requested_symbol_is_answered_and_no_other(
        self,
        provider: MarketDataProvider,
        known_stock: str,
        known_fund: str,
        unknown_symbol: str,
        busy_range: Range,
    ) -> None:
        requested = [known_stock, known_fund, unknown_symbol]

        assert set(provider.daily_bars(requested, *busy_range)) == set(requested)
        assert set(provider.profiles(requested)) == set(requested)
        assert set(provider.statements(requested)) == set(requested)

    def test_an_empty_request_has_an_empty_answer(self, provider: MarketDataProvider, busy_range: Range) -> None:
        assert provider.daily_bars([], *busy_range) == {}
        assert provider.option_bars([], *busy_range) == {}
        assert provider.profiles([]) == {}
        assert provider.statements([]) == {}

    def test_a_symbol_requested_twice_is_answered_once(
        self, provider: MarketDataProvider, known_stock: str, busy_range: Range
    ) -> None:
        twice = provider.daily_bars([known_stock, known_stock], *busy_range)

        assert list(twice) == [known_stock]
        assert_same_bars(value(twice[known_stock]), bars_of(provider, known_stock, busy_range))
        assert list(provider.profiles([known_stock, known_stock])) == [known_stock]
        assert list(provider.statements([known_stock, known_stock])) == [known_stock]

    def test_an_unknown_symbol_is_not_found_and_the_answer_says_why(
        self, provider: MarketDataProvider, unknown_symbol: str, busy_range: Range
    ) -> None:
        answers: list[Mapping[str, Answer[Any]]] = [
            provider.daily_bars([unknown_symbol], *busy_range),
            provider.profiles([unknown_symbol]),
            provider.statements([unknown_symbol]),
        ]
        for answer in (by_symbol[unknown_symbol] for by_symbol in answers):
            assert answer.outcome is Outcome.NOT_FOUND
            assert answer.value is None
            assert answer.reason

    def test_an_unknown_symbol_does_not_affect_the_others(
        self, provider: MarketDataProvider, known_stock: str, unknown_symbol: str, busy_range: Range
    ) -> None:
        together = provider.daily_bars([unknown_symbol, known_stock], *busy_range)

        assert_same_bars(value(together[known_stock]), bars_of(provider, known_stock, busy_range))

    def test_bars_lie_on_sessions_within_the_range_each_once_and_in_order(
        self,
        provider: MarketDataProvider,
        calendar: SessionCalendar,
        known_stock: str,
        known_fund: str,
        busy_range: Range,
    ) -> None:
        for symbol in (known_stock, known_fund):
            bars = bars_of(provider, symbol, busy_range)

            assert bars.sessions.dtype == np.dtype("datetime64[D]")
            assert len(bars.sessions) >= 10
            assert np.all(np.diff(bars.sessions) > np.timedelta64(0))
            assert np.isin(bars.sessions, calendar.session_array(*busy_range)).all()

    def test_prices_are_positive_and_consistent(
        self, provider: MarketDataProvider, known_stock: str, known_fund: str, busy_range: Range
    ) -> None:
        for symbol in (known_stock, known_fund):
            assert_sound_prices(bars_of(provider, symbol, busy_range))

    def test_bars_do_not_depend_on_the_requested_range(
        self, provider: MarketDataProvider, known_stock: str, known_fund: str, busy_range: Range
    ) -> None:
        for symbol in (known_stock, known_fund):
            longer = bars_of(provider, symbol, busy_range)
            middle = slice(3, -3)
            days = longer.sessions[middle]
            shorter = bars_of(provider, symbol, (as_date(days[0]), as_date(days[-1])))

            for column in COLUMNS:
                np.testing.assert_array_equal(getattr(shorter, column), getattr(longer, column)[middle])

    def test_a_range_includes_both_its_ends(
        self, provider: MarketDataProvider, known_stock: str, busy_range: Range
    ) -> None:
        day = as_date(bars_of(provider, known_stock, busy_range).sessions[4])

        assert bars_of(provider, known_stock, (day, day)).sessions.tolist() == [day]

    def test_a_range_without_a_session_is_empty(
        self, provider: MarketDataProvider, known_stock: str, quiet_range: Range
    ) -> None:
        answer = provider.daily_bars([known_stock], *quiet_range)[known_stock]

        assert answer.outcome is Outcome.EMPTY
        assert answer.reason

    def test_corporate_actions_lie_within_the_range_in_order(
        self, provider: MarketDataProvider, known_stock: str, busy_range: Range
    ) -> None:
        actions = bars_of(provider, known_stock, busy_range).actions

        assert list(actions) == sorted(actions)
        assert all(busy_range[0] <= action.ex_date <= busy_range[1] and action.value > 0 for action in actions)

    def test_every_answer_has_a_source(
        self, provider: MarketDataProvider, known_stock: str, known_fund: str, busy_range: Range
    ) -> None:
        for symbol in (known_stock, known_fund):
            assert bars_of(provider, symbol, busy_range).source
            assert value(provider.profiles([symbol])[symbol]).source
        assert value(provider.statements([known_stock])[known_stock]).source

    def test_a_profile_has_a_name(self, provider: MarketDataProvider, known_stock: str, known_fund: str) -> None:
        for profile in provider.profiles([known_stock, known_fund]).values():
            assert value(profile).name.strip()

    def test_statements_are_dated_in_order_and_use_the_known_lines(
        self, provider: MarketDataProvider, known_stock: str
    ) -> None:
        statements = value(provider.statements([known_stock])[known_stock])

        assert_statements(statements.income, INCOME_LINES)
        assert_statements(statements.balance, BALANCE_LINES)
        assert_statements(statements.cash_flow, CASH_FLOW_LINES)

    def test_a_fund_has_no_statements(self, provider: MarketDataProvider, known_fund: str) -> None:
        answer = provider.statements([known_fund])[known_fund]

        assert answer.outcome is Outcome.EMPTY
        assert answer.reason

    def test_option_bars_lie_on_sessions_and_end_with_expiration(
        self, provider: MarketDataProvider, calendar: SessionCalendar, option: OptionContract
    ) -> None:
        start, end = option.expiration - timedelta(days=40), option.expiration + timedelta(days=40)
        bars = value(provider.option_bars([option], start, end)[option.symbol])

        assert np.all(np.diff(bars.sessions) > np.timedelta64(0))
        assert np.isin(bars.sessions, calendar.session_array(start, option.expiration)).all()
        assert bars.source
        assert_sound_prices(bars)

    def test_an_option_has_no_bars_after_expiration(self, provider: MarketDataProvider, option: OptionContract) -> None:
        start, end = option.expiration + timedelta(days=1), option.expiration + timedelta(days=40)
        answer = provider.option_bars([option], start, end)[option.symbol]

        assert answer.outcome is Outcome.EMPTY
        assert answer.reason

    def test_option_bars_do_not_depend_on_the_requested_range(
        self, provider: MarketDataProvider, option: OptionContract
    ) -> None:
        end = option.expiration
        longer = value(provider.option_bars([option], end - timedelta(days=60), end)[option.symbol])
        shorter = value(provider.option_bars([option], end - timedelta(days=30), end)[option.symbol])

        assert 0 < len(shorter.sessions) < len(longer.sessions)
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(shorter, column), getattr(longer, column)[-len(shorter.sessions) :])

    def test_an_option_that_never_existed_has_no_bars(
        self,
        provider: MarketDataProvider,
        option: OptionContract,
        unknown_option: OptionContract | None,
    ) -> None:
        assert unknown_option is not None
        start, end = option.expiration - timedelta(days=40), option.expiration
        answers = provider.option_bars([option, unknown_option], start, end)

        assert set(answers) == {option.symbol, unknown_option.symbol}
        assert answers[option.symbol].outcome is Outcome.OK
        assert answers[unknown_option.symbol].outcome in {Outcome.NOT_FOUND, Outcome.EMPTY}
        assert answers[unknown_option.symbol].reason


def value(answer: Answer[Any]) -> Any:
    """Return the value of an answer; fail if it has none."""
    assert answer.outcome is Outcome.OK, answer.reason
    return answer.value


def bars_of(provider: MarketDataProvider, symbol: str, requested: Range) -> Bars:
    """Return a symbol's bars; fail if there are none."""
    bars: Bars = value(provider.daily_bars([symbol], *requested)[symbol])
    return bars


def as_date(session: np.datetime64) -> date:
    """Return a session as a date."""
    return date.fromisoformat(str(session))


def assert_same_bars(one: Bars, other: Bars) -> None:
    """Check that two answers agree to the last bit."""
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert (one.source, one.actions) == (other.source, other.actions)


def assert_sound_prices(bars: Bars) -> None:
    """Check that no bar would be refused. As in real data, a close may lie half a percent outside the day's range."""
    assert np.all(bars.close > 0)
    assert not np.any(bars.high < bars.low)
    assert not np.any(bars.close > bars.high * 1.005)
    assert not np.any(bars.close < bars.low * 0.995)
    assert not np.any(bars.open <= 0)
    assert not np.any(bars.low <= 0)
    assert not np.any(bars.volume < 0)


def assert_statements(statements: tuple[Statement, ...], names: tuple[str, ...]) -> None:
    """Check that there are statements, oldest first, one per period, with amounts of money under known names."""
    ends = [statement.period_end for statement in statements]
    assert ends
    assert ends == sorted(set(ends))
    for statement in statements:
        assert statement.currency
        assert statement.lines
        assert set(statement.lines) <= set(names)
        assert all(isinstance(amount, Decimal) and amount.is_finite() for amount in statement.lines.values())

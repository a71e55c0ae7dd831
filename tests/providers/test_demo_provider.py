"""The demo provider and the demo's portfolios."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_contract import ProviderContract, Range, assert_same_bars, bars_of, nyse, value

from closingbell.errors import ConfigurationError
from closingbell.install.demo_portfolios import demo_portfolios
from closingbell.ledger.entries import NewPortfolio, NewPosition
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE, OptionContract
from closingbell.market.occ import parse_occ
from closingbell.providers import provider_named
from closingbell.providers.base import BALANCE_LINES, CASH_FLOW_LINES, INCOME_LINES, MarketDataProvider, Outcome
from closingbell.providers.demo import DEMO_FUNDS, DEMO_STOCKS, DemoProvider
from closingbell.providers.demo.options import EWMA_DECAY, RISK_FREE_RATE, black_scholes, ewma_volatility

ALL_TIME = (date(1990, 1, 1), date(2023, 12, 31))
INCEPTION = date(2021, 12, 29)
LAST = date(2022, 12, 28)


def contract(symbol: str) -> OptionContract:
    """Read an option's symbol."""
    parsed = parse_occ(symbol)
    assert parsed is not None
    return parsed


@pytest.fixture
def calendar() -> SessionCalendar:
    return nyse()


def table(name: str) -> pd.DataFrame:
    """Read a data file of skfolio without the provider."""
    spec = find_spec("skfolio")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / f"{name}.csv.gz"
    return pd.read_csv(path, index_col=0, parse_dates=True)


def returns(provider: MarketDataProvider, *symbols: str, start: date = ALL_TIME[0]) -> list[np.ndarray]:
    """Return the daily returns of symbols over the sessions that they share."""
    bars = [bars_of(provider, symbol, (start, ALL_TIME[1])) for symbol in symbols]
    length = min(len(history.close) for history in bars)
    assert all(np.array_equal(history.sessions[-length:], bars[0].sessions[-length:]) for history in bars)
    return [history.close[-length + 1 :] / history.close[-length:-1] - 1.0 for history in bars]


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, demo: DemoProvider) -> MarketDataProvider:
        return demo

    @pytest.fixture
    def known_stock(self) -> str:
        return "AAPL"

    @pytest.fixture
    def known_fund(self) -> str:
        return "SPY"

    @pytest.fixture
    def unknown_symbol(self) -> str:
        return "NOSUCH"

    @pytest.fixture
    def busy_range(self) -> Range:
        return date(2022, 2, 12), date(2022, 4, 10)

    @pytest.fixture
    def quiet_range(self) -> Range:
        return date(2022, 4, 15), date(2022, 4, 17)  # Good Friday and a weekend

    @pytest.fixture
    def known_option(self) -> OptionContract:
        return contract("AAPL220617C00140000")

    @pytest.fixture
    def unknown_option(self) -> OptionContract:
        return contract("NOSUCH220617C00140000")


class TestPrices:
    def test_the_last_session_is_the_last_of_the_data(self, demo: DemoProvider) -> None:
        assert demo.latest_session(date(2026, 3, 2)) == LAST
        assert demo.latest_session(date(2010, 3, 2)) == date(2010, 3, 2)

    def test_every_symbol_has_every_session_from_its_first_to_the_last(
        self, demo: DemoProvider, calendar: SessionCalendar
    ) -> None:
        for symbol in DEMO_STOCKS + DEMO_FUNDS:
            sessions = bars_of(demo, symbol, ALL_TIME).sessions
            expected = calendar.session_array(sessions[0].item(), LAST)

            np.testing.assert_array_equal(sessions, expected)

    @pytest.mark.parametrize("symbol", DEMO_STOCKS + DEMO_FUNDS)
    def test_open_and_close_lie_between_low_and_high(self, demo: DemoProvider, symbol: str) -> None:
        bars = bars_of(demo, symbol, ALL_TIME)

        assert np.all(bars.low > 0)
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert np.all(bars.volume > 0)

    def test_spy_is_a_tenth_of_the_index(self, demo: DemoProvider) -> None:
        bars = bars_of(demo, "SPY", ALL_TIME)

        np.testing.assert_allclose(bars.close, table("sp500_index")["SP500"] / 10, rtol=1e-9)
        assert bars.source == "demo:proxy"

    @pytest.mark.parametrize(
        ("symbol", "file", "column", "source"),
        [
            *((symbol, "sp500_dataset", symbol, "demo:real") for symbol in DEMO_STOCKS),
            *((symbol, "factors_dataset", symbol, "demo:real") for symbol in ("MTUM", "QUAL", "USMV")),
            ("VTV", "factors_dataset", "VLUE", "demo:proxy"),
            ("IWM", "factors_dataset", "SIZE", "demo:proxy"),
        ],
    )
    def test_closes_are_those_of_the_data(
        self, demo: DemoProvider, symbol: str, file: str, column: str, source: str
    ) -> None:
        bars = bars_of(demo, symbol, ALL_TIME)

        np.testing.assert_allclose(bars.close, table(file)[column], rtol=1e-9)
        assert bars.source == source

    def test_vug_mirrors_vtv_around_spy(self, demo: DemoProvider) -> None:
        market, value_fund, growth = returns(demo, "SPY", "VTV", "VUG")
        difference = growth - (2 * market - value_fund)

        assert np.corrcoef(growth, 2 * market - value_fund)[0, 1] > 0.98
        assert difference.std() == pytest.approx(0.0015, rel=0.1)
        assert bars_of(demo, "VUG", ALL_TIME).source == "demo:derived"

    def test_tlt_has_the_documented_volatility_and_beta(self, demo: DemoProvider) -> None:
        market, bonds = returns(demo, "SPY", "TLT")
        covariance = np.cov(bonds, market)

        assert bonds.std() * np.sqrt(252) == pytest.approx(0.158, abs=0.005)
        assert covariance[0, 1] / covariance[1, 1] == pytest.approx(-0.33, abs=0.03)
        assert bars_of(demo, "TLT", ALL_TIME).source == "demo:synthetic"

    def test_another_instance_gives_the_same_bars(self, demo: DemoProvider) -> None:
        for symbol in ("AAPL", "TLT", "VUG"):
            assert_same_bars(bars_of(DemoProvider(), symbol, ALL_TIME), bars_of(demo, symbol, ALL_TIME))

    def test_writing_into_an_answer_does_not_change_the_next_one(self, demo: DemoProvider) -> None:
        january = date(2022, 1, 3), date(2022, 1, 31)
        before = bars_of(demo, "AAPL", january).close.copy()

        bars_of(demo, "AAPL", january).close[:] = 0.0

        np.testing.assert_array_equal(bars_of(demo, "AAPL", january).close, before)

    def test_a_range_before_the_first_bar_is_empty(self, demo: DemoProvider) -> None:
        assert demo.daily_bars(["MTUM"], date(2010, 1, 4), date(2010, 2, 4))["MTUM"].outcome is Outcome.EMPTY


class TestFiles:
    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"sp500_dataset\.csv\.gz is missing"):
            DemoProvider(tmp_path).daily_bars(["AAPL"], *ALL_TIME)

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "sp500_dataset.csv.gz", "wt") as file:
            file.write("Date,MSFT\n2022-01-03,300.0\n")

        with pytest.raises(ConfigurationError, match="no column AAPL"):
            DemoProvider(tmp_path).daily_bars(["AAPL"], *ALL_TIME)

    def test_an_empty_cell_is_a_session_without_a_bar(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "sp500_dataset.csv.gz", "wt") as file:
            file.write("Date,AAPL\n2022-01-03,180.5\n2022-01-04,\n2022-01-05,179.25\n")

        bars = bars_of(DemoProvider(tmp_path), "AAPL", ALL_TIME)

        assert bars.close.tolist() == [180.5, 179.25]
        assert bars.sessions.tolist() == [date(2022, 1, 3), date(2022, 1, 5)]

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("closingbell.providers.demo.closes.find_spec", lambda _name: None)

        with pytest.raises(ConfigurationError, match="skfolio"):
            DemoProvider().latest_session(LAST)

    @pytest.mark.plant
    def test_bars_do_not_import_the_heavy_packages(self) -> None:
        program = (
            "import sys; from datetime import date; from closingbell.providers import provider_named;"
            "provider_named('demo').daily_bars(['AAPL', 'TLT'], date(2022, 1, 3), date(2022, 2, 3));"
            "print({'skfolio', 'pandas', 'scipy', 'pytickersymbols'} & set(sys.modules))"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        assert ran.stdout.strip() == "set()"


class TestNames:
    def test_the_demo_provider_is_made_by_its_name(self) -> None:
        assert provider_named("demo").name == "demo"

    def test_an_unknown_name_is_refused_and_the_known_names_are_listed(self) -> None:
        with pytest.raises(ConfigurationError, match=r"unknown market-data provider 'x'\. .*demo"):
            provider_named("x")


prices = st.floats(1.0, 1000.0)
terms = st.floats(0.01, 3.0)
volatilities = st.floats(0.05, 1.5)
rates = st.floats(-0.02, 0.1)


def priced(spot: float, strike: float, years: float, volatility: float, rate: float, *, is_call: bool) -> float:
    """Price a single option."""
    arrays = [np.array([number]) for number in (spot, years, volatility)]
    return float(black_scholes(arrays[0], strike, arrays[1], arrays[2], rate, is_call=is_call)[0])


class TestBlackScholes:
    @given(spot=prices, strike=prices, years=terms, volatility=volatilities, rate=rates)
    def test_put_call_parity_holds(
        self, spot: float, strike: float, years: float, volatility: float, rate: float
    ) -> None:
        call = priced(spot, strike, years, volatility, rate, is_call=True)
        put = priced(spot, strike, years, volatility, rate, is_call=False)

        assert call - put == pytest.approx(spot - strike * np.exp(-rate * years), abs=1e-9 * (spot + strike))

    @given(spot=prices, strike=prices, years=terms, volatility=volatilities, rate=rates)
    def test_a_call_is_worth_at_least_its_intrinsic_value_and_at_most_the_underlying(
        self, spot: float, strike: float, years: float, volatility: float, rate: float
    ) -> None:
        call = priced(spot, strike, years, volatility, rate, is_call=True)
        rounding = 1e-9 * (spot + strike)

        assert max(spot - strike * np.exp(-rate * years), 0.0) - rounding <= call <= spot + rounding

    @given(spot=prices, strike=prices, years=terms, volatility=volatilities, is_call=st.booleans())
    def test_more_volatility_is_never_cheaper(
        self, spot: float, strike: float, years: float, volatility: float, is_call: bool
    ) -> None:
        calm = priced(spot, strike, years, volatility, RISK_FREE_RATE, is_call=is_call)
        wild = priced(spot, strike, years, volatility * 1.2, RISK_FREE_RATE, is_call=is_call)

        assert wild >= calm - 1e-9 * (spot + strike)

    @given(spot=prices, strike=prices, is_call=st.booleans())
    def test_without_time_left_the_price_is_intrinsic(self, spot: float, strike: float, is_call: bool) -> None:
        price = priced(spot, strike, 0.0, 0.3, RISK_FREE_RATE, is_call=is_call)

        assert price == pytest.approx(max(spot - strike if is_call else strike - spot, 0.0))

    def test_the_textbook_example(self) -> None:
        # Hull, Options, Futures and Other Derivatives: S 42, K 40, r 10 %, volatility 20 %, half a year.
        assert priced(42.0, 40.0, 0.5, 0.2, 0.1, is_call=True) == pytest.approx(4.76, abs=0.005)
        assert priced(42.0, 40.0, 0.5, 0.2, 0.1, is_call=False) == pytest.approx(0.81, abs=0.005)

    def test_ewma_volatility_agrees_with_pandas(self) -> None:
        sample = np.random.default_rng(1).normal(0.0, 0.01, 300)
        expected = np.sqrt(pd.Series(sample**2).ewm(alpha=1 - EWMA_DECAY, adjust=False).mean() * 252)

        np.testing.assert_allclose(ewma_volatility(sample), expected, rtol=1e-12)


class TestOptions:
    def test_options_on_an_unknown_symbol_are_not_found(self, demo: DemoProvider) -> None:
        option = contract("NOSUCH220617C00140000")

        assert demo.option_bars([option], *ALL_TIME)[option.symbol].outcome is Outcome.NOT_FOUND

    @pytest.mark.parametrize("symbol", ["AAPL220617C00140000", "AAPL220617P00140000", "SPY220617P00445000"])
    def test_on_expiration_the_price_is_intrinsic_and_at_least_a_cent(self, demo: DemoProvider, symbol: str) -> None:
        option = contract(symbol)
        bars = value(demo.option_bars([option], *ALL_TIME)[symbol])
        spot = bars_of(demo, option.underlying, (option.expiration, option.expiration)).close[0]
        gain = (spot - float(option.strike)) * (1 if option.is_call else -1)

        assert bars.sessions[-1] == np.datetime64(option.expiration)
        assert bars.close[-1] == pytest.approx(max(gain, 0.01), abs=0.005)

    def test_an_option_has_a_price_on_each_session_until_the_last(
        self, demo: DemoProvider, calendar: SessionCalendar
    ) -> None:
        option = contract("MSFT230616C00250000")
        bars = value(demo.option_bars([option], INCEPTION, ALL_TIME[1])[option.symbol])

        np.testing.assert_array_equal(bars.sessions, calendar.session_array(INCEPTION, LAST))
        assert bars.source == "demo:synthetic"

    def test_prices_are_multiples_of_a_cent_and_consistent(self, demo: DemoProvider) -> None:
        option = contract("MSFT230120C00370000")
        bars = value(demo.option_bars([option], *ALL_TIME)[option.symbol])

        for price in (bars.open, bars.high, bars.low, bars.close):
            np.testing.assert_allclose(price * 100, np.round(price * 100), atol=1e-6)
            assert np.all(price >= 0.01)
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))

    def test_put_call_parity_holds_to_the_cent(self, demo: DemoProvider) -> None:
        call, put = contract("MSFT230120C00300000"), contract("MSFT230120P00300000")
        answers = demo.option_bars([call, put], date(2022, 3, 1), date(2022, 6, 30))
        calls, puts = value(answers[call.symbol]), value(answers[put.symbol])
        spot = bars_of(demo, "MSFT", (date(2022, 3, 1), date(2022, 6, 30))).close
        years = (np.datetime64(call.expiration) - calls.sessions).astype(float) / 365

        parity = spot - 300.0 * np.exp(-RISK_FREE_RATE * years)
        np.testing.assert_allclose(calls.close - puts.close, parity, atol=0.0101)

    def test_a_weekend_expiration_ends_on_the_session_before(self, demo: DemoProvider) -> None:
        option = contract("AAPL140118C00020000")  # a Saturday
        bars = value(demo.option_bars([option], *ALL_TIME)[option.symbol])

        assert bars.sessions[-1] == np.datetime64("2014-01-17")


class TestCompanies:
    def test_every_stock_has_a_sector_and_consistent_facts(self, demo: DemoProvider) -> None:
        for symbol, answer in demo.profiles(DEMO_STOCKS).items():
            profile = value(answer)
            close = bars_of(demo, symbol, (LAST, LAST)).close[0]

            assert profile.sector
            assert profile.industry
            assert profile.name != symbol or symbol == "AMD"
            assert profile.source == "demo:synthetic"
            assert float(profile.market_cap) == pytest.approx(profile.shares_outstanding * close, rel=1e-9)
            assert 8 < profile.pe_ratio < 40
            assert LAST < profile.next_earnings < date(2023, 3, 1)
            assert profile.next_earnings.weekday() < 5

    def test_facts_come_from_the_company_list(self, demo: DemoProvider) -> None:
        merck = value(demo.profiles(["MRK"])["MRK"])

        assert (merck.sector, merck.country, merck.currency) == ("Health Care", "United States", "USD")
        assert merck.website == "https://merck.com"
        assert merck.employees > 10_000

    def test_the_price_earnings_ratio_follows_from_the_statements(self, demo: DemoProvider) -> None:
        for symbol in DEMO_STOCKS:
            income = value(demo.statements([symbol])[symbol]).income
            earned = float(sum(quarter.lines["diluted_eps"] for quarter in income[-4:]))
            close = bars_of(demo, symbol, (LAST, LAST)).close[0]

            ratio = value(demo.profiles([symbol])[symbol]).pe_ratio
            assert ratio == pytest.approx(close / earned, abs=1e-3)

    def test_funds_have_a_name_a_beta_and_no_sector(self, demo: DemoProvider) -> None:
        for answer in demo.profiles(DEMO_FUNDS).values():
            profile = value(answer)

            assert profile.name.endswith(("ETF", "Trust"))
            assert profile.beta is not None
            assert (profile.sector, profile.pe_ratio, profile.market_cap) == (None, None, None)

    def test_beta_is_that_of_sixty_monthly_returns(self, demo: DemoProvider) -> None:
        bars = {symbol: bars_of(demo, symbol, ALL_TIME) for symbol in ("AAPL", "SPY")}
        closes = pd.DataFrame({symbol: pd.Series(b.close, pd.DatetimeIndex(b.sessions)) for symbol, b in bars.items()})
        monthly = closes.resample("ME").last().pct_change().tail(60)
        expected = monthly["AAPL"].cov(monthly["SPY"]) / monthly["SPY"].var()

        assert value(demo.profiles(["AAPL"])["AAPL"]).beta == pytest.approx(expected, abs=1e-4)
        assert value(demo.profiles(["SPY"])["SPY"]).beta == 1.0

    @pytest.mark.parametrize("symbol", DEMO_STOCKS)
    def test_eight_quarters_that_add_up(self, demo: DemoProvider, symbol: str) -> None:
        statements = value(demo.statements([symbol])[symbol])

        for kind, names in (("income", INCOME_LINES), ("balance", BALANCE_LINES), ("cash_flow", CASH_FLOW_LINES)):
            quarters = getattr(statements, kind)
            ends = [quarter.period_end for quarter in quarters]
            assert len(quarters) == 8
            assert ends[-1] == date(2022, 9, 30)
            assert all(85 < (later - earlier).days < 95 for earlier, later in pairwise(ends))
            assert all(set(quarter.lines) == set(names) for quarter in quarters)
        for lines in (quarter.lines for quarter in statements.income):
            assert lines["gross_profit"] == lines["revenue"] - lines["cost_of_revenue"]
            assert lines["revenue"] > lines["gross_profit"] > lines["operating_income"] > lines["net_income"] > 0
            assert lines["diluted_eps"] > 0
        for lines in (quarter.lines for quarter in statements.balance):
            assert lines["total_equity"] == lines["total_assets"] - lines["total_liabilities"] > 0
            assert lines["total_debt"] < lines["total_liabilities"]
        for lines in (quarter.lines for quarter in statements.cash_flow):
            assert lines["capital_expenditure"] < 0
            assert lines["free_cash_flow"] == lines["operating_cash_flow"] + lines["capital_expenditure"]


@pytest.fixture(scope="module")
def portfolios(demo: DemoProvider) -> dict[str, NewPortfolio]:
    return {portfolio.name: portfolio for portfolio in demo_portfolios(demo, INCEPTION)}


def worth(demo: DemoProvider, position: NewPosition, session: date) -> float:
    """Return a position's value on a session."""
    if position.contract:
        answer = demo.option_bars([position.contract], session, session)[position.symbol]
        return float(position.quantity) * CONTRACT_SIZE * float(value(answer).close[0])
    if position.investment_class == "PRIVATE":
        known = [price for day, price in position.valuations if day <= session]
        return float(position.quantity * (known[-1] if known else position.entry_price))
    return float(position.quantity) * float(bars_of(demo, position.symbol, (session, session)).close[0])


class TestPortfolios:
    def test_there_are_three_with_different_names(self, portfolios: dict[str, NewPortfolio]) -> None:
        assert list(portfolios) == ["Balanced Growth", "Hedged Equity", "Family Office"]
        assert len({portfolio.account_name for portfolio in portfolios.values()}) == 3

    def test_every_date_is_a_session(self, portfolios: dict[str, NewPortfolio], calendar: SessionCalendar) -> None:
        for portfolio in portfolios.values():
            days = [day for day, _, _ in portfolio.equity_changes]
            for position in portfolio.positions:
                days += [position.entry_date, *(day for day, _ in position.valuations)]
                days += [position.exit_date] if position.exit_date else []
                days += [position.contract.expiration] if position.contract else []

            assert all(calendar.is_session(day) for day in days)

    def test_prices_paid_are_the_closes_of_the_day(
        self, demo: DemoProvider, portfolios: dict[str, NewPortfolio]
    ) -> None:
        for position in (position for portfolio in portfolios.values() for position in portfolio.positions):
            assert position.quantity != 0
            assert position.entry_price.as_tuple().exponent >= -4  # type: ignore[operator]
            if position.investment_class == "PUBLIC":
                for day, paid in (
                    (position.entry_date, position.entry_price),
                    (position.exit_date, position.exit_price),
                ):
                    if day and paid:
                        close = bars_of(demo, position.symbol, (day, day)).close[0]
                        assert float(paid) == pytest.approx(close, abs=5e-5)

    @pytest.mark.parametrize(
        ("name", "lowest", "highest"),
        [("Balanced Growth", 0.85, 1.0), ("Hedged Equity", 1.2, 1.6), ("Family Office", 0.8, 1.0)],
    )
    def test_sizes_fit_the_equity(
        self,
        demo: DemoProvider,
        portfolios: dict[str, NewPortfolio],
        name: str,
        lowest: float,
        highest: float,
    ) -> None:
        portfolio = portfolios[name]
        values = [
            worth(demo, position, INCEPTION) for position in portfolio.positions if position.entry_date <= INCEPTION
        ]
        gross = sum(abs(amount) for amount in values) / float(portfolio.equity)

        assert lowest < gross < highest
        assert max(abs(amount) for amount in values) / float(portfolio.equity) < 0.25

    def test_balanced_growth_is_long_only_without_options(self, portfolios: dict[str, NewPortfolio]) -> None:
        positions = portfolios["Balanced Growth"].positions

        assert all(position.quantity > 0 and position.investment_class == "PUBLIC" for position in positions)
        assert {position.investment_subtype for position in positions} == {"STOCK", "ETF"}

    def test_hedged_equity_is_long_and_short_in_shares_and_options(self, portfolios: dict[str, NewPortfolio]) -> None:
        positions = portfolios["Hedged Equity"].positions
        sides = {(position.investment_subtype, position.quantity > 0) for position in positions}

        assert {("STOCK", True), ("STOCK", False), ("ETF", False)} <= sides
        assert {("CALL", True), ("CALL", False), ("PUT", True), ("PUT", False)} <= sides
        assert any(position.exit_date and INCEPTION < position.exit_date <= LAST for position in positions)
        assert all(parse_occ(option.symbol) == option.contract for option in positions if option.contract)

    def test_hedged_equity_holds_options_that_settle_in_the_money(
        self, demo: DemoProvider, portfolios: dict[str, NewPortfolio]
    ) -> None:
        contracts = [option.contract for option in portfolios["Hedged Equity"].positions if option.contract]
        settled = [option for option in contracts if INCEPTION < option.expiration <= LAST]

        assert settled
        for option in settled:
            spot = bars_of(demo, option.underlying, (option.expiration, option.expiration)).close[0]
            assert (spot > float(option.strike)) == option.is_call
        assert {option.expiration for option in contracts} >= {date(2023, 1, 20), date(2023, 6, 16)}

    def test_family_office_has_private_assets_contributions_and_withdrawals(
        self, portfolios: dict[str, NewPortfolio]
    ) -> None:
        family = portfolios["Family Office"]
        private = [position for position in family.positions if position.investment_class == "PRIVATE"]

        assert all("_" in position.symbol for position in private)
        assert {position.investment_subtype for position in private} == {"PRIVATE_EQUITY", "REAL_ESTATE"}
        assert any(position.valuations for position in private)
        assert {kind for _, kind, _ in family.equity_changes} == {"contribution", "withdrawal"}
        assert all(amount > 0 and INCEPTION < day <= LAST for day, _, amount in family.equity_changes)

    def test_the_first_missing_price_is_named(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "sp500_dataset.csv.gz", "wt") as file:
            file.write("Date,AAPL\n2022-12-28,125.5\n")

        with pytest.raises(ConfigurationError, match=r"no close of AAPL on 2021-12-29"):
            demo_portfolios(DemoProvider(tmp_path), INCEPTION)

    def test_quantities_are_integers_and_equity_is_a_decimal(self, portfolios: dict[str, NewPortfolio]) -> None:
        for portfolio in portfolios.values():
            assert all(position.quantity == position.quantity.to_integral_value() for position in portfolio.positions)
            assert isinstance(portfolio.equity, Decimal)

"""The demo provider: offline, deterministic, and honest about which of its numbers are real.

What is real
    The daily closes of 20 US stocks and of the S&P 500 (1990 to 2022-12-28) and of five factor funds (2014 to
    2022-12-28), read at run time out of the data files of the installed package ``skfolio``; no number of theirs
    is kept here. Company names, sectors, industries, websites and numbers of employees come from the installed
    package ``pytickersymbols``, as they were when it was released.
What is a proxy
    SPY is a tenth of the S&P 500 index, which pays no dividends. VTV is the fund VLUE and IWM the fund SIZE.
What is derived
    VUG earns ``2 * SPY - VTV`` plus small seeded noise, so that growth and value lie on both sides of the market.
What is synthetic
    TLT (annual volatility 0.158, beta to SPY -0.33); every open, high, low and volume; option prices; shares
    outstanding, and with them market capitalisation; statements, and with them the P/E; the next earnings date.
    All are seeded by their symbol and generated for the whole history at once, so that a value is the same
    whatever range it is asked in and whatever other symbol it is asked with.

The stock closes are already adjusted for splits and dividends. The demo therefore has no corporate actions, and
its prices of long ago are lower than those people paid at the time.

`Bars.source`, `Profile.source` and `Statements.source` say ``demo:real``, ``demo:proxy``, ``demo:derived`` or
``demo:synthetic``. For bars this describes the close. A stock's profile is ``demo:synthetic`` because the facts
listed as synthetic above are in it. A fund's profile holds its name and a beta, and has the source of the closes
that the beta is estimated from.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from closingbell.arrays import Dates, Floats
from closingbell.errors import ConfigurationError
from closingbell.market.bars import Bars
from closingbell.market.instruments import OptionContract
from closingbell.providers.base import Answer, Outcome, Profile, Statement, Statements

DEMO_STOCKS = (
    *("AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO"),
    *("LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM"),
)
DEMO_FUNDS = ("SPY", "TLT", "MTUM", "VTV", "VUG", "IWM", "QUAL", "USMV")

REAL, PROXY, DERIVED, SYNTHETIC = "demo:real", "demo:proxy", "demo:derived", "demo:synthetic"

SESSIONS_A_YEAR = 252
MARKET = "SPY"
PRICE_DECIMALS = 6

VUG_FIRST_CLOSE = 60.0
VUG_NOISE = 0.0015
"""Standard deviation of the daily noise in VUG's returns."""

TLT_FIRST_SESSION = np.datetime64("2002-07-30")
"""The fund's real first day of trading, though none of its prices are."""

TLT_FIRST_CLOSE = 82.0
TLT_VOLATILITY = 0.158
TLT_BETA = -0.33
TLT_DRIFT = 0.03
"""Mean return of TLT a year."""

RISK_FREE_RATE = 0.02
"""The rate option prices assume, all terms and all times, continuously compounded."""

EWMA_DECAY = 0.94
OPTION_TICK = 0.01
"""Option prices are multiples of this and never less: a bar's price is above zero."""

OPTION_LIFE = timedelta(days=730)
"""An option is listed this long before it expires."""

BETA_MONTHS = 60
QUARTERS = 8
LAST_QUARTER = date(2022, 9, 30)
"""The newest statements that companies had published by the last session."""

_MILLION = 1_000_000
_REINSTALL = "Reinstall the package skfolio, or choose another provider with CLOSINGBELL_PROVIDER"

_FILED: Mapping[str, tuple[str, str, float, str]] = {
    **{symbol: ("sp500_dataset", symbol, 1.0, REAL) for symbol in DEMO_STOCKS},
    **{symbol: ("factors_dataset", symbol, 1.0, REAL) for symbol in ("MTUM", "QUAL", "USMV")},
    "SPY": ("sp500_index", "SP500", 10.0, PROXY),
    "VTV": ("factors_dataset", "VLUE", 1.0, PROXY),
    "IWM": ("factors_dataset", "SIZE", 1.0, PROXY),
}
"""By symbol: the file and column its closes are read from, what they are divided by, and their source."""

_FUND_NAMES = {
    "SPY": "SPDR S&P 500 ETF Trust",
    "TLT": "iShares 20+ Year Treasury Bond ETF",
    "MTUM": "iShares MSCI USA Momentum Factor ETF",
    "VTV": "Vanguard Value ETF",
    "VUG": "Vanguard Growth ETF",
    "IWM": "iShares Russell 2000 ETF",
    "QUAL": "iShares MSCI USA Quality Factor ETF",
    "USMV": "iShares MSCI USA Min Vol Factor ETF",
}

_GICS_SECTORS = (
    "Communication Services",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Real Estate",
    "Utilities",
)
_COMPANY_INDEX = "S&P 500"
"""The index whose list of members holds a GICS sector among each company's industry tags."""

_COUNTRY = "United States"
"""Of all the demo's companies: the list gives the town of their headquarters instead."""

_OWN_FACTS: Mapping[str, Mapping[str, Any]] = {
    "RRC": {"name": "Range Resources", "industries": ["Energy", "Oil & Gas Exploration & Production"]},
}
"""Facts of the companies that have left the index."""


@dataclass(frozen=True)
class _Series:
    """Sessions and closes of one symbol, oldest first, shape (T,) each."""

    sessions: Dates
    close: Floats
    source: str

    @cached_property
    def returns(self) -> Floats:
        """Simple returns, shape (T - 1,)."""
        return self.close[1:] / self.close[:-1] - 1.0


def black_scholes(
    spot: Floats, strike: float, years: Floats, volatility: Floats, rate: float, *, is_call: bool
) -> Floats:
    """Price European options on an underlying without dividends.

    Parameters
    ----------
    spot : ndarray of float64, shape (T,)
        Price of the underlying, above 0.
    strike : float
        Money per share, above 0.
    years : ndarray of float64, shape (T,)
        Time to expiration, at least 0.
    volatility : ndarray of float64, shape (T,)
        Annual standard deviation of returns, at least 0.
    rate : float
        Annual risk-free rate, continuously compounded.
    is_call : bool
        Calls, or else puts.

    Returns
    -------
    ndarray of float64, shape (T,)
        Money per share. Without time or volatility left, the intrinsic value against the discounted strike.
    """
    from scipy.special import ndtr  # noqa: PLC0415 - slow to import, and only option prices need it

    discounted = strike * np.exp(-rate * years)
    deviation = volatility * np.sqrt(years)
    sign = 1.0 if is_call else -1.0
    certain = deviation == 0.0
    spread = np.where(certain, 1.0, deviation)
    upper = np.log(spot / discounted) / spread + spread / 2.0
    price = sign * (spot * ndtr(sign * upper) - discounted * ndtr(sign * (upper - spread)))
    intrinsic = np.maximum(sign * (spot - discounted), 0.0)
    return np.where(certain, intrinsic, np.maximum(price, 0.0))


def ewma_volatility(returns: Floats) -> Floats:
    """Return the annual volatility known after each return, shape (T,), begun at the first return alone."""
    squares = (returns**2).tolist()
    variance = accumulate(squares, lambda before, now: EWMA_DECAY * before + (1.0 - EWMA_DECAY) * now)
    return np.sqrt(np.fromiter(variance, dtype=np.float64) * SESSIONS_A_YEAR)


class DemoProvider:
    """Market data without a network: see the module for what is real in it.

    Parameters
    ----------
    folder : Path, optional
        Where skfolio's data files lie; by default in the installed package.
    """

    name = "demo"

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._tables: dict[str, Mapping[str, tuple[Dates, Floats]]] = {}
        self._known_series: dict[str, _Series] = {}
        self._known_bars: dict[str, Bars] = {}
        self._known_volatility: dict[str, Floats] = {}

    def latest_session(self, closed: date) -> date:
        """Return `closed`, or the last session of the data when that is older."""
        return min(closed, self._last_session)

    def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return daily bars of the demo's stocks and funds; closes are real or as `Bars.source` says."""
        return {symbol: self._daily_bars(symbol, start, end) for symbol in symbols}

    def option_bars(self, contracts: Sequence[OptionContract], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return synthetic daily bars of options on the demo's stocks and funds.

        Closes are Black-Scholes prices on the underlying's EWMA volatility as known on each session, rounded to
        cents and at least one cent, from two years before expiration until expiration, where they are intrinsic.
        """
        return {contract.symbol: self._option_bars(contract, start, end) for contract in contracts}

    def profiles(self, symbols: Sequence[str]) -> Mapping[str, Answer[Profile]]:
        """Return company facts, real and synthetic, as of the data's last session."""
        return {symbol: self._profile(symbol) for symbol in symbols}

    def statements(self, symbols: Sequence[str]) -> Mapping[str, Answer[Statements]]:
        """Return eight synthetic quarters of each stock."""
        return {symbol: self._statements(symbol) for symbol in symbols}

    @cached_property
    def _last_session(self) -> date:
        return _day(self._series(MARKET).sessions[-1])

    @cached_property
    def _companies(self) -> Mapping[str, Mapping[str, Any]]:
        """Facts of companies by symbol, as `pytickersymbols` words them."""
        from pytickersymbols import PyTickerSymbols  # noqa: PLC0415 - it loads its data when imported

        members = PyTickerSymbols().get_stocks_by_index(_COMPANY_INDEX)
        return {**_OWN_FACTS, **{company["symbol"]: company for company in members}}

    def _daily_bars(self, symbol: str, start: date, end: date) -> Answer[Bars]:
        if not _is_known(symbol):
            return _not_found(symbol)
        if symbol not in self._known_bars:
            series = self._series(symbol)
            self._known_bars[symbol] = _bars_around(symbol, series, PRICE_DECIMALS, 10**-PRICE_DECIMALS, 5e6)
        return _within(self._known_bars[symbol], start, end)

    def _option_bars(self, contract: OptionContract, start: date, end: date) -> Answer[Bars]:
        if not _is_known(contract.underlying):
            return _not_found(contract.underlying)
        prices = self._option_prices(contract)
        return _within(_bars_around(contract.symbol, prices, 2, OPTION_TICK, 400.0), start, end)

    def _option_prices(self, contract: OptionContract) -> _Series:
        """Price an option on every session of its life."""
        underlying = self._series(contract.underlying)
        if contract.underlying not in self._known_volatility:
            self._known_volatility[contract.underlying] = ewma_volatility(underlying.returns)
        listed = np.datetime64(contract.expiration - OPTION_LIFE, "D")
        expires = np.datetime64(contract.expiration, "D")
        # The first session has no return, so no volatility is known on it.
        sessions = underlying.sessions[1:]
        life = slice(*np.searchsorted(sessions, [listed, expires + 1]))
        close = black_scholes(
            underlying.close[1:][life],
            float(contract.strike),
            (expires - sessions[life]).astype(np.float64) / 365.0,
            self._known_volatility[contract.underlying][life],
            RISK_FREE_RATE,
            is_call=contract.is_call,
        )
        return _Series(sessions[life], np.maximum(np.round(close, 2), OPTION_TICK), SYNTHETIC)

    def _profile(self, symbol: str) -> Answer[Profile]:
        if not _is_known(symbol):
            return _not_found(symbol)
        series, market = self._series(symbol), self._series(MARKET)
        beta = _monthly_beta(series, market)
        if symbol in DEMO_FUNDS:
            return Answer.ok(Profile(_FUND_NAMES[symbol], series.source, is_fund=True, currency="USD", beta=beta))
        facts, price = self._companies.get(symbol, {"name": symbol}), float(series.close[-1])
        sector, industry = _classification(facts)
        shares, latest_year = _shares(symbol, price), _income(symbol, price)[-4:]
        profile = Profile(
            name=str(facts["name"]),
            source=SYNTHETIC,
            sector=sector,
            industry=industry,
            country=_COUNTRY,
            currency="USD",
            website=_website(facts),
            employees=_employees(facts),
            beta=beta,
            shares_outstanding=shares,
            market_cap=(shares * Decimal(str(price))).quantize(Decimal("0.01")),
            pe_ratio=round(price / float(sum(lines["diluted_eps"] for lines in latest_year)), 4),
            next_earnings=_next_earnings(symbol, self._last_session),
        )
        return Answer.ok(profile)

    def _statements(self, symbol: str) -> Answer[Statements]:
        if not _is_known(symbol):
            return _not_found(symbol)
        if symbol in DEMO_FUNDS:
            return Answer(Outcome.EMPTY, reason=f"{symbol} is a fund and publishes no statements")
        income = _income(symbol, float(self._series(symbol).close[-1]))
        statements = Statements(
            income=_dated(income),
            balance=_dated(_balance(symbol, income)),
            cash_flow=_dated(_cash_flow(symbol, income)),
            source=SYNTHETIC,
        )
        return Answer.ok(statements)

    def _series(self, symbol: str) -> _Series:
        """Return the whole history of a known symbol."""
        if symbol not in self._known_series:
            if symbol == "VUG":
                series = _growth_fund(self._series(MARKET), self._series("VTV"))
            elif symbol == "TLT":
                series = _bond_fund(self._series(MARKET))
            else:
                series = self._filed_series(symbol)
            self._known_series[symbol] = series
        return self._known_series[symbol]

    def _filed_series(self, symbol: str) -> _Series:
        """Read a symbol's closes from its file, leaving out the sessions without one."""
        name, column, divisor, source = _FILED[symbol]
        if name not in self._tables:
            self._tables[name] = _read_table(self._file(name))
        if column not in self._tables[name]:
            raise ConfigurationError(f"{self._file(name)} has no column {column}", _REINSTALL)
        sessions, values = self._tables[name][column]
        known = np.isfinite(values)
        return _Series(sessions[known], np.round(values[known] / divisor, PRICE_DECIMALS), source)

    def _file(self, name: str) -> Path:
        folder = self._folder or _skfolio_data()
        path = folder / f"{name}.csv.gz"
        if not path.is_file():
            raise ConfigurationError(f"the demo's price file {path} is missing", _REINSTALL)
        return path


def _skfolio_data() -> Path:
    """Locate skfolio's data files without importing it, which takes seconds."""
    spec = find_spec("skfolio")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the demo needs the package skfolio, which holds its prices", _REINSTALL)
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data"


def _read_table(path: Path) -> Mapping[str, tuple[Dates, Floats]]:
    """Read a table of closes: by column, its sessions and values, shape (T,) each, NaN where a cell is empty."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header, *rows = (line.rstrip("\n").split(",") for line in file)
    sessions = np.array([row[0] for row in rows], dtype="datetime64[D]")
    values = np.array([[cell or "nan" for cell in row[1:]] for row in rows]).astype(np.float64)
    return {column: (sessions, values[:, index]) for index, column in enumerate(header[1:])}


def _is_known(symbol: str) -> bool:
    return symbol in DEMO_STOCKS or symbol in DEMO_FUNDS


def _not_found(symbol: str) -> Answer[Any]:
    return Answer(Outcome.NOT_FOUND, reason=f"the demo data has no symbol {symbol}")


def _day(session: np.datetime64) -> date:
    return date.fromisoformat(str(session))


def _generator(*names: str) -> np.random.Generator:
    """Return a random generator that depends on the names alone: the same in every process."""
    return np.random.default_rng(zlib.crc32(":".join(names).encode()))


def _compound(first: float, returns: Floats) -> Floats:
    """Return the closes, shape (T + 1,), that start at `first` and earn `returns`."""
    growth = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    return np.round(first * growth, PRICE_DECIMALS)


def _growth_fund(market: _Series, value: _Series) -> _Series:
    """Derive VUG from the sessions on which both the market and the value fund are known."""
    sessions, of_market, of_value = np.intersect1d(market.sessions, value.sessions, return_indices=True)
    market_close, value_close = market.close[of_market], value.close[of_value]
    returns = 2.0 * (market_close[1:] / market_close[:-1] - 1.0) - (value_close[1:] / value_close[:-1] - 1.0)
    noise = _generator("VUG", "close").normal(0.0, VUG_NOISE, len(returns))
    return _Series(sessions, _compound(VUG_FIRST_CLOSE, returns + noise), DERIVED)


def _bond_fund(market: _Series) -> _Series:
    """Make up TLT: its share of the market's returns, plus noise for the rest of its volatility."""
    first = int(np.searchsorted(market.sessions, TLT_FIRST_SESSION))
    excess = market.returns[first:] - market.returns[first:].mean()
    variance = TLT_VOLATILITY**2 / SESSIONS_A_YEAR - TLT_BETA**2 * excess.var()
    noise = _generator("TLT", "close").normal(0.0, np.sqrt(variance), len(excess))
    # Without its mean the noise leads nowhere in the long run: twenty years of it could end at any price.
    returns = TLT_DRIFT / SESSIONS_A_YEAR + TLT_BETA * excess + noise - noise.mean()
    return _Series(market.sessions[first:], _compound(TLT_FIRST_CLOSE, returns), SYNTHETIC)


def _bars_around(name: str, series: _Series, decimals: int, tick: float, usual_volume: float) -> Bars:
    """Make up opens, highs, lows and volumes that fit the closes of a whole history."""
    rng, close = _generator(name, "bars"), series.close
    # One row of draws a session: what a session gets does not depend on how many follow it.
    gap, above, below, trades = rng.standard_normal((len(close), 4)).T
    before = np.concatenate((close[:1], close[:-1]))
    opened = np.maximum(np.round(before * np.exp(0.002 * gap), decimals), tick)
    high = np.maximum(opened, close) * (1.0 + 0.004 * np.abs(above))
    low = np.minimum(opened, close) * (1.0 - 0.004 * np.abs(below))
    return Bars(
        sessions=series.sessions,
        open=opened,
        high=np.round(high, decimals),
        low=np.maximum(np.round(low, decimals), tick),
        close=close,
        volume=np.round(usual_volume * np.exp(0.35 * trades)),
        source=series.source,
    )


def _within(bars: Bars, start: date, end: date) -> Answer[Bars]:
    """Cut a whole history to the asked range, in copies, so that nobody can write into the history."""
    first, after = np.searchsorted(bars.sessions, [np.datetime64(start, "D"), np.datetime64(end, "D") + 1])
    if first >= after:
        return Answer(Outcome.EMPTY, reason=f"no bars between {start} and {end}")
    part = slice(first, after)
    return Answer.ok(
        Bars(
            sessions=bars.sessions[part].copy(),
            open=bars.open[part].copy(),
            high=bars.high[part].copy(),
            low=bars.low[part].copy(),
            close=bars.close[part].copy(),
            volume=bars.volume[part].copy(),
            source=bars.source,
        )
    )


def _monthly_beta(series: _Series, market: _Series) -> float:
    """Return the beta to the market over the last 60 monthly returns, the estimate that Yahoo publishes too."""
    sessions, of_series, of_market = np.intersect1d(series.sessions, market.sessions, return_indices=True)
    months = sessions.astype("datetime64[M]")
    ends = np.flatnonzero(np.append(months[1:] != months[:-1], True))[-BETA_MONTHS - 1 :]
    own, its = (
        closes[1:] / closes[:-1] - 1.0 for closes in (series.close[of_series[ends]], market.close[of_market[ends]])
    )
    covariance = np.cov(own, its)
    return round(float(covariance[0, 1] / covariance[1, 1]), 4)


def _classification(facts: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the sector and the industry: of the other tags the longest, which says most."""
    tags = facts.get("industries", ())
    sector = next((tag for tag in tags if tag in _GICS_SECTORS), None)
    others = (tag for tag in tags if tag.casefold() != (sector or "").casefold())
    return sector, max(others, key=len, default=None)


def _website(facts: Mapping[str, Any]) -> str | None:
    """Return the first of the websites as a link ("merck.com (US & Canada) msd.com (international)")."""
    words = str(facts.get("metadata", {}).get("website", "")).split()
    return f"https://{words[0]}" if words else None


def _employees(facts: Mapping[str, Any]) -> int | None:
    """Return the number of employees out of a text such as "c. 31,000 (2025)"."""
    found = re.search(r"\d[\d,]*", str(facts.get("metadata", {}).get("employees", "")))
    return int(found.group().replace(",", "")) if found else None


def _shares(symbol: str, price: float) -> int:
    """Make up shares outstanding, in tens of millions, worth about 40 billion to 900 billion at `price`."""
    exponent = _generator(symbol, "shares").uniform(np.log10(4e10), np.log10(9e11))
    return round(float(10.0**exponent / price) / (10 * _MILLION)) * 10 * _MILLION


def _next_earnings(symbol: str, last_session: date) -> date:
    """Make up a weekday two to seven weeks after the last session."""
    day = last_session + timedelta(days=int(_generator(symbol, "earnings").integers(14, 49)))
    return day + timedelta(days=(0, 0, 0, 0, 0, 2, 1)[day.weekday()])


def _money(amount: float) -> Decimal:
    """Round to whole millions, as statements are published."""
    return Decimal(round(amount / _MILLION)) * _MILLION


def _income(symbol: str, price: float) -> list[dict[str, Decimal]]:
    """Make up income statements, oldest first, of a company with a P/E of about 12 to 30 at `price`."""
    rng, shares = _generator(symbol, "income"), _shares(symbol, price)
    quarter = price * shares / rng.uniform(12.0, 30.0) / 4.0
    growth, net_margin, gross_margin = rng.uniform(0.0, 0.025), rng.uniform(0.08, 0.2), rng.uniform(0.35, 0.6)
    season = 1.0 + rng.uniform(-0.08, 0.08, QUARTERS)
    statements = []
    for index in range(QUARTERS):
        net = quarter * (1.0 + growth) ** (index - QUARTERS + 1) * season[index]
        revenue, net_income = _money(net / net_margin), _money(net)
        cost = _money(net / net_margin * (1.0 - gross_margin))
        statements.append(
            {
                "revenue": revenue,
                "cost_of_revenue": cost,
                "gross_profit": revenue - cost,
                "operating_income": _money(net / 0.79),  # 21 % tax
                "net_income": net_income,
                "diluted_eps": (net_income / shares).quantize(Decimal("0.01")),
            }
        )
    return statements


def _balance(symbol: str, income: Sequence[Mapping[str, Decimal]]) -> list[dict[str, Decimal]]:
    """Make up balance sheets in proportion to the first quarter's revenue, assets growing 1 % a quarter."""
    rng = _generator(symbol, "balance")
    first_assets = float(income[0]["revenue"]) * rng.uniform(4.0, 8.0)
    cash_share, liability_share, debt_share = rng.uniform(0.05, 0.15), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.6)
    sheets = []
    for index in range(len(income)):
        assets = first_assets * 1.01**index
        total_assets, liabilities = _money(assets), _money(assets * liability_share)
        sheets.append(
            {
                "cash": _money(assets * cash_share),
                "total_assets": total_assets,
                "total_debt": _money(assets * liability_share * debt_share),
                "total_liabilities": liabilities,
                "total_equity": total_assets - liabilities,
            }
        )
    return sheets


def _cash_flow(symbol: str, income: Sequence[Mapping[str, Decimal]]) -> list[dict[str, Decimal]]:
    """Make up cash-flow statements; money that leaves the company is negative."""
    rng = _generator(symbol, "cash flow")
    conversion, investment, payout = rng.uniform(1.1, 1.4), rng.uniform(0.02, 0.06), rng.uniform(0.2, 0.6)
    statements = []
    for lines in income:
        operating = _money(float(lines["net_income"]) * conversion)
        capital = -_money(float(lines["revenue"]) * investment)
        statements.append(
            {
                "operating_cash_flow": operating,
                "capital_expenditure": capital,
                "free_cash_flow": operating + capital,
                "dividends_paid": -_money(float(lines["net_income"]) * payout),
            }
        )
    return statements


def _dated(lines: Sequence[Mapping[str, Decimal]]) -> tuple[Statement, ...]:
    """Give the statements their quarters' ends, the last one `LAST_QUARTER`."""
    last = np.datetime64(LAST_QUARTER, "M")
    ends = [_day((last - 3 * back + 1).astype("datetime64[D]") - 1) for back in reversed(range(len(lines)))]
    return tuple(Statement(end, "USD", quarter) for end, quarter in zip(ends, lines, strict=True))

"""The demo provider itself: it joins the closes, the bars around them, option prices, profiles and statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from closingbell.arrays import Floats
from closingbell.market.bars import Bars
from closingbell.market.instruments import OptionContract
from closingbell.providers.base import Answer, Outcome, Profile, Statements
from closingbell.providers.demo.bars import bars_around, within
from closingbell.providers.demo.closes import FiledCloses
from closingbell.providers.demo.companies import Companies, fund_profile
from closingbell.providers.demo.funds import bond_fund, growth_fund
from closingbell.providers.demo.options import OPTION_TICK, ewma_volatility, option_closes
from closingbell.providers.demo.series import PRICE_DECIMALS, Series
from closingbell.providers.demo.statements import quarterly_statements
from closingbell.providers.demo.symbols import DEMO_FUNDS, MARKET, is_known


class DemoProvider:
    """Market data without a network; the package's docstring says what is real in it.

    Parameters
    ----------
    folder : Path, optional
        Where skfolio's data files lie; by default in the installed package.
    """

    name = "demo"

    def __init__(self, folder: Path | None = None) -> None:
        self._filed = FiledCloses(folder)
        self._companies = Companies()
        self._known_series: dict[str, Series] = {}
        self._known_bars: dict[str, Bars] = {}
        self._known_volatility: dict[str, Floats] = {}

    def latest_session(self, closed: date) -> date:
        """Return `closed`, or the last session of the data when that is older."""
        last: date = self._series(MARKET).sessions[-1].item()
        return min(closed, last)

    def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return daily bars of the demo's stocks and funds; `Bars.source` says whether the closes are real."""
        return {symbol: self._daily_bars(symbol, start, end) for symbol in symbols}

    def option_bars(self, contracts: Sequence[OptionContract], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return synthetic daily bars of options on the demo's stocks and funds.

        Bars begin two years before expiration and end on it. Closes are Black-Scholes prices on the EWMA volatility
        known on each session, rounded to cents and at least one cent; at expiration they are the intrinsic value.
        """
        return {contract.symbol: self._option_bars(contract, start, end) for contract in contracts}

    def profiles(self, symbols: Sequence[str]) -> Mapping[str, Answer[Profile]]:
        """Return company facts, real and synthetic, as of the data's last session."""
        return {symbol: self._profile(symbol) for symbol in symbols}

    def statements(self, symbols: Sequence[str]) -> Mapping[str, Answer[Statements]]:
        """Return eight synthetic quarters of each stock."""
        return {symbol: self._statements(symbol) for symbol in symbols}

    def _daily_bars(self, symbol: str, start: date, end: date) -> Answer[Bars]:
        if not is_known(symbol):
            return _not_found(symbol)
        if symbol not in self._known_bars:
            self._known_bars[symbol] = bars_around(
                symbol, self._series(symbol), decimals=PRICE_DECIMALS, tick=10**-PRICE_DECIMALS, usual_volume=5e6
            )
        return within(self._known_bars[symbol], start, end)

    def _option_bars(self, contract: OptionContract, start: date, end: date) -> Answer[Bars]:
        if not is_known(contract.underlying):
            return _not_found(contract.underlying)
        closes = option_closes(contract, self._series(contract.underlying), self._volatility(contract.underlying))
        return within(
            bars_around(contract.symbol, closes, decimals=2, tick=OPTION_TICK, usual_volume=400.0), start, end
        )

    def _profile(self, symbol: str) -> Answer[Profile]:
        if not is_known(symbol):
            return _not_found(symbol)
        profile = fund_profile if symbol in DEMO_FUNDS else self._companies.profile
        return Answer.ok(profile(symbol, self._series(symbol), self._series(MARKET)))

    def _statements(self, symbol: str) -> Answer[Statements]:
        if not is_known(symbol):
            return _not_found(symbol)
        if symbol in DEMO_FUNDS:
            return Answer(Outcome.EMPTY, reason=f"{symbol} is a fund and publishes no statements")
        return Answer.ok(quarterly_statements(symbol, float(self._series(symbol).close[-1])))

    def _series(self, symbol: str) -> Series:
        """Return the entire history of a known symbol."""
        if symbol not in self._known_series:
            if symbol == "VUG":
                series = growth_fund(self._series(MARKET), self._series("VTV"))
            elif symbol == "TLT":
                series = bond_fund(self._series(MARKET))
            else:
                series = self._filed.series(symbol)
            self._known_series[symbol] = series
        return self._known_series[symbol]

    def _volatility(self, symbol: str) -> Floats:
        """Return the annual volatility of a known symbol after each return of its history."""
        if symbol not in self._known_volatility:
            self._known_volatility[symbol] = ewma_volatility(self._series(symbol).returns)
        return self._known_volatility[symbol]


def _not_found(symbol: str) -> Answer[Any]:
    return Answer(Outcome.NOT_FOUND, reason=f"the demo data has no symbol {symbol}")

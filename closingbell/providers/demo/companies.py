"""Profiles of companies and funds: facts from pytickersymbols, a beta from the closes, and synthetic figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from closingbell.providers.base import Profile
from closingbell.providers.demo.series import SYNTHETIC, Series, generator, simple_returns
from closingbell.providers.demo.statements import income_lines, shares_outstanding

BETA_MONTHS = 60

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
"""The index of pytickersymbols whose members have a GICS sector among their industry tags."""

_COUNTRY = "United States"
"""Country of all the demo's companies; pytickersymbols gives the town of their headquarters instead."""

_OWN_FACTS: Mapping[str, Mapping[str, Any]] = {
    "RRC": {"name": "Range Resources", "industries": ["Energy", "Oil & Gas Exploration & Production"]},
}
"""Facts of the companies that have left the index."""


class Companies:
    """The profiles of the demo's companies; pytickersymbols is loaded for the first one."""

    def profile(self, symbol: str, series: Series, market: Series) -> Profile:
        """Return a company's profile on the last session of its closes."""
        facts, price = self._facts.get(symbol, {"name": symbol}), float(series.close[-1])
        sector, industry = _classification(facts)
        shares, latest_year = shares_outstanding(symbol, price), income_lines(symbol, price)[-4:]
        return Profile(
            name=str(facts["name"]),
            source=SYNTHETIC,
            sector=sector,
            industry=industry,
            country=_COUNTRY,
            currency="USD",
            website=_website(facts),
            employees=_employees(facts),
            beta=_monthly_beta(series, market),
            shares_outstanding=shares,
            market_cap=(shares * Decimal(str(price))).quantize(Decimal("0.01")),
            pe_ratio=round(price / float(sum(lines["diluted_eps"] for lines in latest_year)), 4),
            next_earnings=_next_earnings(symbol, market.sessions[-1].item()),
        )

    @cached_property
    def _facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Facts of companies by symbol, in the words of pytickersymbols."""
        from pytickersymbols import PyTickerSymbols  # noqa: PLC0415 - it loads its data when imported

        members = PyTickerSymbols().get_stocks_by_index(_COMPANY_INDEX)
        return {**_OWN_FACTS, **{company["symbol"]: company for company in members}}


def fund_profile(symbol: str, series: Series, market: Series) -> Profile:
    """Return a fund's profile: its name and beta."""
    beta = _monthly_beta(series, market)
    return Profile(_FUND_NAMES[symbol], series.source, is_fund=True, currency="USD", beta=beta)


def _monthly_beta(series: Series, market: Series) -> float:
    """Return the beta to the market over the last 60 monthly returns, as Yahoo publishes it."""
    sessions, of_series, of_market = np.intersect1d(series.sessions, market.sessions, return_indices=True)
    months = sessions.astype("datetime64[M]")
    ends = np.flatnonzero(np.append(months[1:] != months[:-1], True))[-BETA_MONTHS - 1 :]
    covariance = np.cov(simple_returns(series.close[of_series[ends]]), simple_returns(market.close[of_market[ends]]))
    return round(float(covariance[0, 1] / covariance[1, 1]), 4)


def _classification(facts: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the sector and the industry, which is the longest of the other tags and so the most specific."""
    tags = facts.get("industries", ())
    sector = next((tag for tag in tags if tag in _GICS_SECTORS), None)
    others = (tag for tag in tags if tag.casefold() != (sector or "").casefold())
    return sector, max(others, key=len, default=None)


def _website(facts: Mapping[str, Any]) -> str | None:
    """Return the first website of a text such as "merck.com (US & Canada) msd.com (international)" as a link."""
    words = str(facts.get("metadata", {}).get("website", "")).split()
    return f"https://{words[0]}" if words else None


def _employees(facts: Mapping[str, Any]) -> int | None:
    """Return the number of employees in a text such as "c. 31,000 (2025)"."""
    number = re.search(r"\d[\d,]*", str(facts.get("metadata", {}).get("employees", "")))
    return int(number.group().replace(",", "")) if number else None


def _next_earnings(symbol: str, last_session: date) -> date:
    """Generate a weekday two to seven weeks after the last session."""
    day = last_session + timedelta(days=int(generator(symbol, "earnings").integers(14, 49)))
    return day + timedelta(days=(0, 0, 0, 0, 0, 2, 1)[day.weekday()])

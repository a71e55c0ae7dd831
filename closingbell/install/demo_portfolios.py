"""The demo's portfolios, built from plans at a provider's prices.

The plans contain no market prices: sizes are weights, strikes are fractions of the underlying's price, and entry and
exit prices are the provider's closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from closingbell.errors import ConfigurationError
from closingbell.ledger.entries import OPTIONS, PRIVATE, PUBLIC, NewPortfolio, NewPosition
from closingbell.market.bars import Bars
from closingbell.market.instruments import OptionContract
from closingbell.market.occ import format_occ
from closingbell.providers.base import Answer, MarketDataProvider
from closingbell.providers.demo import DEMO_FUNDS

LOT = 5
"""Share quantities are multiples of this."""

STRIKE_STEP = Decimal(5)
PRICE_STEP = Decimal("0.0001")
"""Precision of entry and exit prices."""


@dataclass(frozen=True)
class _Holding:
    """A stock or fund to hold: its weight as a fraction of equity when the holding starts, negative for a short."""

    symbol: str
    weight: str
    entry: date
    exit: date | None = None


@dataclass(frozen=True)
class _Option:
    """An option to hold.

    Parameters
    ----------
    contracts : int
        Negative for a short.
    moneyness : str
        Strike as a fraction of the underlying's close on the entry date.
    """

    underlying: str
    contracts: int
    kind: Literal["CALL", "PUT"]
    moneyness: str
    expiration: date
    entry: date


@dataclass(frozen=True)
class _Plan:
    """A portfolio to build."""

    name: str
    account_name: str
    account_type: str
    equity: Decimal
    holdings: Sequence[_Holding]
    options: Sequence[_Option] = ()
    private: Sequence[NewPosition] = ()
    equity_changes: tuple[tuple[date, str, Decimal], ...] = ()


_BALANCED = (
    _Holding("AAPL", "0.08", date(2020, 3, 16)),
    _Holding("MSFT", "0.09", date(2019, 6, 3)),
    _Holding("JNJ", "0.07", date(2018, 9, 17)),
    _Holding("JPM", "0.06", date(2020, 10, 1)),
    _Holding("HD", "0.06", date(2019, 1, 15)),
    _Holding("PG", "0.06", date(2018, 5, 14)),
    _Holding("KO", "0.04", date(2020, 4, 6)),
    _Holding("UNH", "0.07", date(2019, 4, 22)),
    _Holding("CVX", "0.05", date(2020, 11, 9)),
    _Holding("LLY", "0.05", date(2021, 2, 1)),
    _Holding("WMT", "0.05", date(2021, 5, 10)),
    _Holding("QUAL", "0.12", date(2020, 6, 1)),
    _Holding("TLT", "0.12", date(2021, 3, 22)),
    _Holding("PEP", "0.03", date(2022, 3, 8)),
    _Holding("XOM", "0.03", date(2022, 6, 21)),
)

_HEDGED = (
    _Holding("MSFT", "0.13", date(2021, 1, 19)),
    _Holding("AAPL", "0.12", date(2020, 9, 8)),
    _Holding("UNH", "0.11", date(2020, 9, 8)),
    _Holding("JPM", "0.11", date(2020, 11, 9)),
    _Holding("HD", "0.10", date(2021, 3, 1)),
    _Holding("PEP", "0.09", date(2021, 6, 14)),
    _Holding("QUAL", "0.09", date(2021, 6, 14)),
    _Holding("LLY", "0.07", date(2021, 4, 5)),
    _Holding("MRK", "0.07", date(2021, 8, 16)),
    _Holding("XOM", "0.05", date(2021, 3, 1)),
    _Holding("RRC", "0.03", date(2021, 9, 20)),
    _Holding("PG", "0.08", date(2022, 2, 7)),
    _Holding("IWM", "-0.16", date(2021, 6, 28)),
    _Holding("AMD", "-0.06", date(2021, 11, 8), date(2022, 9, 30)),
    _Holding("BBY", "-0.07", date(2021, 10, 11)),
    _Holding("GE", "-0.07", date(2021, 7, 6)),
    _Holding("CVX", "-0.05", date(2021, 7, 6)),
    _Holding("WMT", "-0.06", date(2021, 11, 22)),
    _Holding("BAC", "-0.06", date(2022, 4, 18)),
)

_HEDGED_OPTIONS = (
    # These two expire in the money within the demo's history, and settle into cash.
    _Option("SPY", 6, "PUT", "0.97", date(2022, 6, 17), date(2021, 12, 20)),
    _Option("XOM", 30, "CALL", "1.05", date(2022, 9, 16), date(2021, 12, 13)),
    _Option("MSFT", -6, "CALL", "1.15", date(2023, 1, 20), date(2021, 12, 6)),
    _Option("LLY", 8, "CALL", "1.10", date(2023, 1, 20), date(2022, 1, 18)),
    _Option("MRK", -20, "PUT", "0.95", date(2023, 6, 16), date(2021, 12, 13)),
    _Option("SPY", 8, "PUT", "0.95", date(2023, 6, 16), date(2022, 8, 15)),
)

_FAMILY = (
    _Holding("AAPL", "0.07", date(2016, 2, 8)),
    _Holding("JNJ", "0.06", date(2014, 10, 13)),
    _Holding("KO", "0.05", date(2012, 6, 4)),
    _Holding("HD", "0.05", date(2013, 9, 9)),
    _Holding("JPM", "0.05", date(2016, 7, 5)),
    _Holding("PFE", "0.04", date(2017, 3, 13)),
    _Holding("USMV", "0.10", date(2018, 1, 29)),
    _Holding("VTV", "0.08", date(2018, 1, 29)),
    _Holding("WMT", "0.04", date(2022, 5, 23)),
)

_FAMILY_PRIVATE = (
    NewPosition(
        symbol="ACME_SERIES_B",
        quantity=Decimal(20_000),
        entry_price=Decimal("25.00"),
        entry_date=date(2020, 2, 14),
        investment_class=PRIVATE,
        investment_subtype="PRIVATE_EQUITY",
        valuations=(
            (date(2021, 9, 30), Decimal("41.00")),
            (date(2022, 3, 31), Decimal("38.50")),
            (date(2022, 9, 30), Decimal("32.00")),
        ),
    ),
    NewPosition(
        symbol="HARBOR_VIEW_APARTMENTS",
        quantity=Decimal(1),
        entry_price=Decimal(900_000),
        entry_date=date(2017, 8, 1),
        investment_class=PRIVATE,
        investment_subtype="REAL_ESTATE",
        valuations=(
            (date(2021, 6, 30), Decimal(1_080_000)),
            (date(2022, 6, 30), Decimal(1_150_000)),
            (date(2022, 9, 30), Decimal(1_135_000)),
        ),
    ),
    # Without valuations it keeps its entry price.
    NewPosition(
        symbol="CEDAR_GROWTH_FUND",
        quantity=Decimal(300),
        entry_price=Decimal(1_000),
        entry_date=date(2022, 2, 1),
        investment_class=PRIVATE,
        investment_subtype="PRIVATE_EQUITY",
    ),
)

_FAMILY_CHANGES = (
    (date(2022, 3, 15), "contribution", Decimal(400_000)),
    (date(2022, 10, 14), "withdrawal", Decimal(150_000)),
)


_PLANS = (
    _Plan(
        name="Balanced Growth",
        account_name="Balanced Growth Account",
        account_type="taxable",
        equity=Decimal(1_000_000),
        holdings=_BALANCED,
    ),
    _Plan(
        name="Hedged Equity",
        account_name="Hedged Equity Account",
        account_type="taxable",
        equity=Decimal(2_500_000),
        holdings=_HEDGED,
        options=_HEDGED_OPTIONS,
    ),
    _Plan(
        name="Family Office",
        account_name="Family Office Trust",
        account_type="trust",
        equity=Decimal(5_000_000),
        holdings=_FAMILY,
        private=_FAMILY_PRIVATE,
        equity_changes=_FAMILY_CHANGES,
    ),
)


def demo_portfolios(provider: MarketDataProvider, inception: date) -> tuple[NewPortfolio, ...]:
    """Build the demo's three portfolios at a provider's prices.

    Parameters
    ----------
    provider : MarketDataProvider
        Gives the closes of the demo's symbols and options on the sessions of entries and exits, and on `inception`.
    inception : date
        First session of the portfolios, 2021-12-29 in the demo. Positions bought before it have their weights on that
        session, later ones on their entry date.

    Returns
    -------
    tuple of NewPortfolio
        A long-only portfolio, a long-short one with options, and one with private assets and equity changes.

    Raises
    ------
    ConfigurationError
        If the provider has no close on one of those sessions.
    """
    return tuple(_build(provider, plan, inception) for plan in _PLANS)


def _build(provider: MarketDataProvider, plan: _Plan, inception: date) -> NewPortfolio:
    return NewPortfolio(
        name=plan.name,
        account_name=plan.account_name,
        account_type=plan.account_type,
        equity=plan.equity,
        inception=inception,
        positions=(
            *_bought(provider, plan.holdings, plan.equity, inception),
            *(_bought_option(provider, option) for option in plan.options),
            *plan.private,
        ),
        equity_changes=plan.equity_changes,
    )


def _bought(
    provider: MarketDataProvider, holdings: Sequence[_Holding], equity: Decimal, inception: date
) -> tuple[NewPosition, ...]:
    """Return lots of shares that have the weights of the holdings at the provider's closes."""
    positions = []
    for holding in holdings:
        symbol, weighed_on = holding.symbol, max(holding.entry, inception)
        lots = Decimal(holding.weight) * equity / _close(provider, symbol, weighed_on) / LOT
        positions.append(
            NewPosition(
                symbol=symbol,
                quantity=_rounded(lots, Decimal(1)) * LOT,
                entry_price=_close(provider, symbol, holding.entry),
                entry_date=holding.entry,
                investment_class=PUBLIC,
                investment_subtype="ETF" if symbol in DEMO_FUNDS else "STOCK",
                exit_date=holding.exit,
                exit_price=_close(provider, symbol, holding.exit) if holding.exit else None,
            )
        )
    return tuple(positions)


def _bought_option(provider: MarketDataProvider, option: _Option) -> NewPosition:
    """Return an option position with a strike near its moneyness, bought at the close of its entry date."""
    spot = _close(provider, option.underlying, option.entry)
    strike = _rounded(spot * Decimal(option.moneyness) / STRIKE_STEP, Decimal(1)) * STRIKE_STEP
    is_call = option.kind == "CALL"
    symbol = format_occ(option.underlying, option.expiration, is_call=is_call, strike=strike)
    contract = OptionContract(symbol, option.underlying, option.expiration, is_call, strike)
    answer = provider.option_bars([contract], option.entry, option.entry)[symbol]
    return NewPosition(
        symbol=symbol,
        quantity=Decimal(option.contracts),
        entry_price=_only_close(answer, symbol, option.entry),
        entry_date=option.entry,
        investment_class=OPTIONS,
        investment_subtype=option.kind,
        contract=contract,
    )


def _close(provider: MarketDataProvider, symbol: str, session: date) -> Decimal:
    return _only_close(provider.daily_bars([symbol], session, session)[symbol], symbol, session)


def _only_close(answer: Answer[Bars], symbol: str, session: date) -> Decimal:
    """Return the close of an answer for one session."""
    if answer.value is None:
        raise ConfigurationError(
            f"the provider has no close of {symbol} on {session}: {answer.reason}",
            "Build the demo's portfolios with the demo provider",
        )
    return _rounded(Decimal(str(float(answer.value.close[0]))), PRICE_STEP)


def _rounded(number: Decimal, step: Decimal) -> Decimal:
    return number.quantize(step, rounding=ROUND_HALF_UP)

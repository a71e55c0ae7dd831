"""The interface of every market-data provider, and the answers it returns.

A provider does not raise for an unknown symbol, missing data or a failure of the network: each symbol gets an
`Answer` whose `outcome` says what happened. Only a successful answer has a value, so that a caller cannot mistake a
missing answer for data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from closingbell.market.bars import Bars
from closingbell.market.instruments import OptionContract


class Outcome(StrEnum):
    """What came of a request for one symbol."""

    OK = "ok"
    EMPTY = "empty"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    MALFORMED = "malformed"
    AUTH = "auth"
    UNAVAILABLE = "unavailable"

    @property
    def is_transient(self) -> bool:
        """Whether a later retry can succeed."""
        return self in {Outcome.RATE_LIMITED, Outcome.UNAVAILABLE}


T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A provider's answer about one symbol.

    Parameters
    ----------
    outcome : Outcome
    value : T or None
        The data; present exactly when `outcome` is `Outcome.OK`.
    reason : str
        Why there is no value, for logs and users.
    retry_after : float or None
        Seconds to wait before a retry, if the provider gives them.
    """

    outcome: Outcome
    value: T | None = None
    reason: str = ""
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.OK) != (self.value is not None):
            raise ValueError(
                f"an answer that is {self.outcome} must {'' if self.value is None else 'not '}have a value"
            )

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"

    @classmethod
    def ok(cls, value: T) -> Answer[T]:
        """Wrap a value."""
        return cls(Outcome.OK, value)


@dataclass(frozen=True)
class Profile:
    """Current facts of a company or fund. All but the name and the source may be unknown.

    Money is in the listing currency; `beta` is the provider's own estimate.
    """

    name: str
    source: str
    is_fund: bool = False
    sector: str | None = None
    industry: str | None = None
    country: str | None = None
    currency: str | None = None
    website: str | None = None
    employees: int | None = None
    beta: float | None = None
    shares_outstanding: int | None = None
    market_cap: Decimal | None = None
    pe_ratio: float | None = None
    next_earnings: date | None = None


@dataclass(frozen=True)
class Statement:
    """One quarterly statement: the last day of its quarter, its currency, and its amounts of money by line name."""

    period_end: date
    currency: str
    lines: Mapping[str, Decimal]


@dataclass(frozen=True)
class Statements:
    """The quarterly statements of one company, each tuple oldest first."""

    income: tuple[Statement, ...]
    balance: tuple[Statement, ...]
    cash_flow: tuple[Statement, ...]
    source: str


INCOME_LINES = ("revenue", "cost_of_revenue", "gross_profit", "operating_income", "net_income", "diluted_eps")
BALANCE_LINES = ("cash", "total_assets", "total_debt", "total_liabilities", "total_equity")
CASH_FLOW_LINES = ("operating_cash_flow", "capital_expenditure", "free_cash_flow", "dividends_paid")


class MarketDataProvider(Protocol):
    """A source of market data. Implementations pass the tests of `tests/support/provider_contract.py`.

    Every method answers for each requested symbol and for no other. Ranges include both ends.
    """

    name: str

    def latest_session(self, closed: date) -> date:
        """Return the newest session that this provider has, up to `closed`, the newest one that has closed."""
        ...

    def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return daily bars of stocks and funds."""
        ...

    def option_bars(self, contracts: Sequence[OptionContract], start: date, end: date) -> Mapping[str, Answer[Bars]]:
        """Return daily bars of option contracts, by OCC symbol. A day without a trade has no bar."""
        ...

    def profiles(self, symbols: Sequence[str]) -> Mapping[str, Answer[Profile]]:
        """Return the current facts of each company or fund."""
        ...

    def statements(self, symbols: Sequence[str]) -> Mapping[str, Answer[Statements]]:
        """Return quarterly statements; `Outcome.EMPTY` for a fund, which publishes none."""
        ...

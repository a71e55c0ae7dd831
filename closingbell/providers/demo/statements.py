"""Synthetic shares outstanding and quarterly statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from closingbell.providers.base import Statement, Statements
from closingbell.providers.demo.series import SYNTHETIC, generator

QUARTERS = 8
LAST_QUARTER = date(2022, 9, 30)
"""The newest quarter whose statements were published by the last session of the data."""

_MILLION = 1_000_000


def quarterly_statements(symbol: str, price: float) -> Statements:
    """Generate the statements of a stock that costs `price`."""
    income = income_lines(symbol, price)
    return Statements(
        income=_dated(income),
        balance=_dated(_balance_lines(symbol, income)),
        cash_flow=_dated(_cash_flow_lines(symbol, income)),
        source=SYNTHETIC,
    )


def shares_outstanding(symbol: str, price: float) -> int:
    """Generate shares outstanding, in tens of millions, worth about 40 billion to 900 billion at `price`."""
    exponent = generator(symbol, "shares").uniform(np.log10(4e10), np.log10(9e11))
    return round(float(10.0**exponent / price) / (10 * _MILLION)) * 10 * _MILLION


def income_lines(symbol: str, price: float) -> list[dict[str, Decimal]]:
    """Generate income statements, oldest first, of a company with a P/E of about 12 to 30 at `price`."""
    rng, shares = generator(symbol, "income"), shares_outstanding(symbol, price)
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


def _balance_lines(symbol: str, income: Sequence[Mapping[str, Decimal]]) -> list[dict[str, Decimal]]:
    """Generate balance sheets in proportion to the first quarter's revenue; assets grow 1 % a quarter."""
    rng = generator(symbol, "balance")
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


def _cash_flow_lines(symbol: str, income: Sequence[Mapping[str, Decimal]]) -> list[dict[str, Decimal]]:
    """Generate cash-flow statements; money that leaves the company is negative."""
    rng = generator(symbol, "cash flow")
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


def _money(amount: float) -> Decimal:
    """Round to whole millions, as statements are published."""
    return Decimal(round(amount / _MILLION)) * _MILLION


def _dated(lines: Sequence[Mapping[str, Decimal]]) -> tuple[Statement, ...]:
    """Return dated statements of consecutive quarters, the last of which ends on `LAST_QUARTER`."""
    last = np.datetime64(LAST_QUARTER, "M")
    ends = [(last - 3 * back + 1).astype("datetime64[D]") - 1 for back in reversed(range(len(lines)))]
    return tuple(Statement(end.item(), "USD", quarter) for end, quarter in zip(ends, lines, strict=True))

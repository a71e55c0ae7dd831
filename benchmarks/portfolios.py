"""Snapshots and exposures of many portfolios for one session, against a loop over portfolios."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pandas as pd

from benchmarks.generated import HISTORY, LAST, POSITIONS, calendar, fill_market, fill_portfolios
from benchmarks.result import Row, report
from closingbell.batch.factors import compute_factors
from closingbell.batch.portfolios import compute_exposures, compute_snapshots
from closingbell.repositories.database import Database, driver

LIMITS = {1_000: 5.0, 10_000: 45.0}
SAMPLE = 50

LOTS = """
    SELECT p.quantity::float8 AS quantity, p.entry_price::float8 AS entry_price, p.investment_class,
           p.symbol_id, m.close::float8 AS close
    FROM positions p LEFT JOIN market_data_cache m ON m.symbol_id = p.symbol_id AND m.session = %(session)s
    WHERE p.portfolio_id = %(portfolio)s
"""
BETAS = """
    SELECT symbol_id, factor_id, beta FROM symbol_factor_exposures
    WHERE session = %(session)s AND symbol_id = ANY(%(symbols)s)
"""


def portfolios(database: Database, count: int) -> list[Row]:
    """Measure snapshots and exposures of `count` portfolios for one session, a year after their inception."""
    report(f"(c) generating {count:,} portfolios of {POSITIONS} positions")
    fill_market(database, HISTORY + 5)
    fill_portfolios(database, count)
    compute_factors(database, [LAST], calendar=calendar())
    report(f"(c) snapshots and exposures of {count:,} portfolios")
    began = perf_counter()
    compute_snapshots(database, [LAST], calendar=calendar())
    compute_exposures(database, [LAST], calendar=calendar())
    seconds = perf_counter() - began
    per_portfolio = _portfolio_loop(database)
    limit = LIMITS.get(count, np.inf)
    return [
        Row(
            what=f"snapshots and exposures of {count:,} portfolios x {POSITIONS} positions, one session",
            against=f"pandas, portfolio by portfolio, market value and exposures only ({SAMPLE} measured)",
            seconds=seconds,
            baseline=per_portfolio * count,
            ratio=f"{per_portfolio * count / seconds:.1f} x faster",
            targets={f"at most {limit:.0f} s": seconds <= limit},
        )
    ]


def _portfolio_loop(database: Database) -> float:
    """Value some portfolios and add up their exposures one at a time; return seconds per portfolio.

    It does less than the plant: it does not follow the path since the inception, computes neither cash nor P&L, and
    writes nothing.
    """
    with database.transaction() as connection, driver(connection).cursor() as cursor:
        keys = [key for (key,) in cursor.execute("SELECT id FROM portfolios ORDER BY id LIMIT %s", (SAMPLE,))]
        began = perf_counter()
        for key in keys:
            positions = cursor.execute(LOTS, {"session": LAST, "portfolio": key})
            lots = pd.DataFrame(positions.fetchall(), columns=[column.name for column in positions.description or ()])
            price = lots["close"].where(lots["investment_class"] != "PRIVATE", lots["entry_price"])
            size = np.where(lots["investment_class"] == "OPTIONS", 100, 1)
            lots["value"] = lots["quantity"] * price * size
            symbols = lots["symbol_id"].dropna().astype(int).unique().tolist()
            rows = cursor.execute(BETAS, {"session": LAST, "symbols": symbols}).fetchall()
            betas = pd.DataFrame(rows, columns=["symbol_id", "factor_id", "beta"])
            joined = lots.merge(betas, on="symbol_id")
            joined["dollar"] = joined["value"] * joined["beta"].clip(-5, 5)
            joined.groupby("factor_id")["dollar"].sum()
        return (perf_counter() - began) / len(keys)

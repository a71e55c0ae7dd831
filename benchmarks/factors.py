"""Factors: one session against a loop over symbols, and a year against a bare COPY."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from time import perf_counter
from typing import IO, Any

import numpy as np
import pandas as pd
import psycopg
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sqlalchemy import text

from benchmarks.generated import LAST, SYMBOLS, calendar, fill_market, last_sessions
from benchmarks.result import Row, report
from closingbell.arrays import Floats
from closingbell.batch.factors import compute_factors
from closingbell.calculations.factor_definitions import FACTORS, LONGEST_WINDOW, REGRESSOR_FUNDS, Method
from closingbell.calculations.factors import RIDGE_ALPHA, estimate_factors, simple_returns
from closingbell.market.instruments import Instruments, Kind
from closingbell.repositories import prices, universe
from closingbell.repositories.database import Database, driver

SAMPLE = 200
YEAR = 250
SESSIONS_PER_RUN = 63
TABLE = "symbol_factor_exposures"
CHUNK = 1 << 20

SELECT = """
    SELECT session, adj_close FROM market_data_cache WHERE symbol_id = %s AND session >= %s ORDER BY session
"""
INSERT = """
    INSERT INTO inserted (session, symbol_id, factor_id, beta, std_error, t_stat, r_squared, observations, quality_flag)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'full_history')
"""
DIFFERENCES = f"""
    SELECT count(*), count(*) FILTER (
        WHERE abs(i.beta - f.beta) > 1e-6 OR (i.beta IS NULL) <> (f.beta IS NULL)
           OR abs(i.std_error - f.std_error) > 1e-8 OR abs(i.r_squared - f.r_squared) > 1e-6
           OR i.observations <> f.observations)
    FROM inserted i JOIN {TABLE} f USING (session, symbol_id, factor_id)
"""


def one_session(database: Database) -> list[Row]:
    """Measure one session of 5,000 symbols against a loop with statsmodels and scikit-learn over some of them."""
    report(f"(a) generating prices of {SYMBOLS:,} symbols")
    fill_market(database, 1)
    night = min(_timed_night(database) for _ in range(3))
    report(f"(a) symbol by symbol, {SAMPLE} of them")
    loop = SymbolLoop(database)
    read, calculated, written = loop.run()
    calculation = min(_timed_calculation(loop.instruments, loop.returns) for _ in range(3))
    against = f"statsmodels and scikit-learn, symbol by symbol ({SAMPLE} measured)"
    what = f"{len(FACTORS)} factors of {SYMBOLS:,} symbols, one session"
    return [
        _row(f"{what}: calculation only", against, calculation, calculated, {}),
        _row(
            f"{what}: prices read, rows written",
            f"{against}, each reading its prices and inserting its rows",
            night,
            read + calculated + written,
            {"at most 2.5 s": night <= 2.5},
        ),
    ]


def _row(what: str, against: str, seconds: float, per_sample: float, targets: dict[str, bool]) -> Row:
    baseline = per_sample / SAMPLE * SYMBOLS
    ratio = baseline / seconds
    return Row(what, against, seconds, baseline, f"{ratio:,.0f} x faster", {"at least 200 x": ratio >= 200, **targets})


def _timed_night(database: Database) -> float:
    with database.transaction() as connection:
        connection.execute(text(f"TRUNCATE {TABLE}"))  # a nightly batch writes a session that has no rows yet
    began = perf_counter()
    compute_factors(database, [LAST], calendar=calendar())
    return perf_counter() - began


def _timed_calculation(instruments: Instruments, returns: Floats) -> float:
    unknown = np.full((1, len(instruments)), np.nan)
    began = perf_counter()
    estimate_factors(returns, instruments.symbols, 1, unknown)
    return perf_counter() - began


class SymbolLoop:
    """The baseline: a query, six regressions, a ridge regression and twelve inserts for each symbol."""

    def __init__(self, database: Database) -> None:
        self._database = database
        days = calendar()
        self._window = days.session_array(days.offset(LAST, -LONGEST_WINDOW), LAST)
        with database.transaction() as connection:
            self.instruments = universe.active(connection, [Kind.EQUITY])
            closes = prices.read_matrix(connection, self._window, self.instruments.ids, ["adj_close"])["adj_close"]
            connection.execute(text(f"CREATE TABLE inserted (LIKE {TABLE} INCLUDING ALL)"))
        self.returns = simple_returns(closes)
        sessions = pd.DatetimeIndex(self._window)
        self._funds = pd.DataFrame(self.returns, sessions, self.instruments.symbols)[list(REGRESSOR_FUNDS)]

    def run(self) -> tuple[float, float, float]:
        """Read, calculate and write `SAMPLE` symbols; return the seconds of each.

        Raises
        ------
        AssertionError
            If the numbers differ from the plant's.
        """
        sample = np.random.default_rng(1).choice(np.arange(20, SYMBOLS), SAMPLE, replace=False)
        seconds = [0.0, 0.0, 0.0]
        with self._database.transaction() as connection, driver(connection).cursor() as cursor:
            for column in sample:
                symbol_id = self.instruments[column].id
                began = perf_counter()
                closes = self._read(cursor, symbol_id)
                seconds[0] += perf_counter() - began
                began = perf_counter()
                rows = _one_symbol(closes.pct_change(fill_method=None), self._funds)
                seconds[1] += perf_counter() - began
                began = perf_counter()
                cursor.executemany(INSERT, [(LAST, symbol_id, *row) for row in rows])
                seconds[2] += perf_counter() - began
            cursor.execute(DIFFERENCES)
            rows_and_differences = cursor.fetchone()
            assert rows_and_differences == (SAMPLE * 12, 0), f"the loop and the plant disagree: {rows_and_differences}"
        return seconds[0], seconds[1], seconds[2]

    def _read(self, cursor: psycopg.Cursor[Any], symbol_id: int) -> pd.Series:
        closes = cursor.execute(SELECT, (symbol_id, self._window[0].item()))
        frame = pd.DataFrame(closes.fetchall(), columns=["session", "adj_close"])
        index = pd.DatetimeIndex(frame["session"])
        return pd.Series(frame["adj_close"].to_numpy(), index).reindex(pd.DatetimeIndex(self._window))


def _one_symbol(returns: pd.Series, funds: pd.DataFrame) -> list[tuple[float | int | None, ...]]:
    """Return (factor, beta, standard error, t, r squared, observations) of all factors but the provider's beta."""
    rows: list[tuple[float | int | None, ...]] = []
    for factor in FACTORS:
        if factor.method in {Method.OLS_MARKET, Method.OLS_IR, Method.SPREAD}:
            legs = [funds[fund] for fund in factor.regressors]
            x = legs[0] if len(legs) == 1 else legs[0] - legs[1]
            sample = pd.DataFrame({"y": returns, "x": x}).tail(factor.window or 0).dropna()
            if len(sample) < (factor.minimum or 0):
                rows.append((factor.order, None, None, None, None, len(sample)))
                continue
            fit = sm.OLS(sample["y"], sm.add_constant(sample["x"])).fit()
            figures = (fit.params["x"], fit.bse["x"], fit.tvalues["x"], fit.rsquared)
            rows.append((factor.order, *map(float, figures), len(sample)))
    return rows + _styles(returns, funds)


def _styles(returns: pd.Series, funds: pd.DataFrame) -> list[tuple[float | int | None, ...]]:
    styles = [factor for factor in FACTORS if factor.method is Method.RIDGE]
    names = [factor.regressors[0] for factor in styles]
    sample = pd.concat([returns.rename("y"), funds[names]], axis=1).tail(styles[0].window or 0).dropna()
    if len(sample) < (styles[0].minimum or 0):
        return [(factor.order, None, None, None, None, len(sample)) for factor in styles]
    scaler = StandardScaler().fit(sample[names])
    x, y = scaler.transform(sample[names]), sample["y"] - sample["y"].mean()
    fit = Ridge(alpha=RIDGE_ALPHA).fit(x, y)
    betas, r_squared = fit.coef_ / scaler.scale_, float(fit.score(x, y))
    return [
        (factor.order, float(beta), None, None, r_squared, len(sample))
        for factor, beta in zip(styles, betas, strict=True)
    ]


def one_year(database: Database) -> list[Row]:
    """Measure a backfill of 250 sessions, calculation and writes, against a bare COPY of the same rows."""
    report(f"(b) generating prices of {SYMBOLS:,} symbols")
    fill_market(database, YEAR)
    sessions = last_sessions(YEAR)
    report(f"(b) {YEAR} sessions in runs of {SESSIONS_PER_RUN}")
    seconds = _timed_backfill(database, sessions)
    with tempfile.TemporaryFile() as rows, database.transaction() as connection:
        statement = f"COPY (SELECT * FROM {TABLE}) TO STDOUT (FORMAT BINARY)"
        with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
            for block in copy:
                rows.write(block)
        count = connection.execute(text(f"SELECT count(*) FROM {TABLE}")).scalar_one()
        report(f"(b) a bare COPY of the same {count:,} rows")
        bare = _timed_copy(database, rows, f"CREATE TABLE bare AS SELECT * FROM {TABLE} WITH NO DATA")
        keyed = _timed_copy(database, rows, f"CREATE TABLE bare (LIKE {TABLE} INCLUDING ALL)")
    what = f"factors of {SYMBOLS:,} symbols on {YEAR} sessions, {count:,} rows: calculation and writes"
    return [
        Row(
            what=what,
            against=f"bare COPY of the same rows into a table {table}",
            seconds=seconds,
            baseline=baseline,
            ratio=f"{seconds / baseline:.2f} x as long",
            targets={"at most 3 x": seconds <= 3 * baseline},
        )
        for table, baseline in (("without keys", bare), ("with the same key", keyed))
    ]


def _timed_backfill(database: Database, sessions: Sequence[date]) -> float:
    began = perf_counter()
    for start in range(0, len(sessions), SESSIONS_PER_RUN):
        compute_factors(database, sessions[start : start + SESSIONS_PER_RUN], calendar=calendar())
    return perf_counter() - began


def _timed_copy(database: Database, rows: IO[bytes], create: str) -> float:
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bare"))
        connection.execute(text(create))
    rows.seek(0)
    began = perf_counter()
    with database.transaction() as connection:
        statement = "COPY bare FROM STDIN (FORMAT BINARY)"
        with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
            while block := rows.read(CHUNK):
                copy.write(block)
    return perf_counter() - began

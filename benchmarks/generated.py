"""Generate a market and portfolios of any size, the same for the same seed."""

from __future__ import annotations

from datetime import date

import numpy as np
from sqlalchemy import text

from closingbell.arrays import Dates, Floats, Ints
from closingbell.calculations.factor_definitions import REGRESSOR_FUNDS
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Kind
from closingbell.repositories import factors, universe
from closingbell.repositories.copying import Column, copy_rows
from closingbell.repositories.database import Database, driver, ensure_year_partitions

SEED = 20221228
LAST = date(2022, 12, 28)
SYMBOLS = 5_000
HISTORY = 252
"""Sessions with prices before the first computed one."""

POSITIONS = 34
SHORT_SHARE, PRIVATE_SHARE, OPTION_SHARE = 0.05, 0.02, 0.03
CONTRACTS = 200


def calendar() -> SessionCalendar:
    """Return the calendar up to the year after the data."""
    return SessionCalendar(date(2023, 12, 31))


def last_sessions(count: int) -> list[date]:
    """Return the last sessions of the generated data."""
    days = calendar()
    return days.sessions(days.offset(LAST, 1 - count), LAST)


def fill_market(database: Database, sessions: int) -> None:
    """Write `SYMBOLS` symbols, the regressor funds included, with prices for `sessions` and the history they need."""
    days = calendar()
    window = days.session_array(days.offset(LAST, 1 - sessions - HISTORY), LAST)
    names = [*REGRESSOR_FUNDS, *(f"S{number:04}" for number in range(SYMBOLS - len(REGRESSOR_FUNDS)))]
    with database.transaction() as connection:
        factors.seed_definitions(connection)
        universe.add_instruments(connection, [(name, Kind.EQUITY) for name in names], status="active")
        ids = universe.active(connection, [Kind.EQUITY]).ids
        _write_prices(database, window, ids, _closes(len(window)))
        connection.execute(text("ANALYZE"))


def _closes(sessions: int) -> Floats:
    """Return closes (T, N) that follow one market; one symbol in fifty starts late, one in fifty has gaps."""
    random = np.random.default_rng(SEED)
    market = random.normal(0.0004, 0.011, sessions)
    beta = random.uniform(0.3, 1.8, SYMBOLS)
    returns = market[:, None] * beta + random.normal(0, 0.015, (sessions, SYMBOLS))
    closes = np.round(random.uniform(5, 400, SYMBOLS) * np.exp(np.cumsum(returns, axis=0)), 4)
    ordinary = np.arange(len(REGRESSOR_FUNDS), SYMBOLS)
    young, gappy = np.split(random.choice(ordinary, SYMBOLS // 25, replace=False), 2)
    for symbol in young:
        closes[: random.integers(sessions // 2, sessions - 5), symbol] = np.nan
    closes[random.integers(0, sessions, 8 * len(gappy)), np.repeat(gappy, 8)] = np.nan
    return closes


def _write_prices(database: Database, sessions: Dates, ids: Ints, closes: Floats) -> None:
    with database.transaction() as connection:
        ensure_year_partitions(connection, "market_data_cache", sessions[0].item().year, sessions[-1].item().year)
        session, symbol = np.nonzero(np.isfinite(closes))
        close = closes[session, symbol]
        units = np.rint(close * 10**6).astype(np.int64)
        columns = [
            Column.date("session", sessions[session]),
            Column.integer("symbol_id", ids[symbol]),
            *(Column.numeric(name, units, 6) for name in ("open", "high", "low", "close")),
            Column.bigint("volume", np.full(len(close), 1_000_000)),
            Column.double("adj_close", close),
            Column.label("source", np.zeros(len(close), dtype=np.int64), ["generated"]),
        ]
        copy_rows(driver(connection), "market_data_cache", [columns])


def fill_portfolios(database: Database, count: int) -> None:
    """Write `count` portfolios of `POSITIONS` lots each, a year old, with shorts, options and private assets."""
    random = np.random.default_rng(SEED + count)
    inception = calendar().offset(LAST, 1 - HISTORY)
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO portfolios (owner, name, account_name, account_type, equity_balance, inception) "
                "SELECT 'bench', 'P' || n, 'P' || n, 'individual', 1000000, :inception FROM generate_series(1, :n) n"
            ),
            {"inception": inception, "n": count},
        )
        contracts = _fill_contracts(database)
        lots = count * POSITIONS
        kind = random.random(lots)
        private, option = kind < PRIVATE_SHARE, (kind >= PRIVATE_SHARE) & (kind < PRIVATE_SHARE + OPTION_SHARE)
        keys = connection.execute(text("SELECT array_agg(id ORDER BY id) FROM portfolios")).scalar_one()
        symbols = connection.execute(
            text("SELECT array_agg(id ORDER BY id) FROM symbol_universe WHERE kind <> 'option'")
        )
        held = random.choice(np.array(symbols.scalar_one()), lots)
        held[option] = random.choice(contracts, int(option.sum()))
        short = random.random(lots) < SHORT_SHARE
        units = random.integers(1, 300, lots) * np.where(short & ~private, -1, 1)
        number = np.where(private, 2, option.astype(np.int64))
        columns = [
            Column.bigint("portfolio_id", np.repeat(keys, POSITIONS)),
            Column.text("symbol", [f"H{key}" for key in np.where(private, 0, held)]),
            Column.integer("symbol_id", held, private),
            Column.label("investment_class", number, ["PUBLIC", "OPTIONS", "PRIVATE"]),
            Column.label("position_type", short.astype(np.int64), ["LONG", "SHORT"]),
            Column.numeric("quantity", units, 0),
            Column.date("quantity_as_of", np.full(lots, np.datetime64(LAST))),
            Column.numeric("entry_price", random.integers(500, 40_000, lots), 2),
            Column.date("entry_date", np.full(lots, np.datetime64(inception))),
        ]
        copy_rows(driver(connection), "positions", [columns])
        connection.execute(text("ANALYZE"))


def _fill_contracts(database: Database) -> Ints:
    """Write option contracts with a price on every session; return their ids."""
    with database.transaction() as connection:
        inserted = connection.execute(
            text(
                "INSERT INTO symbol_universe (symbol, kind, status, underlying_id, expiration, strike, is_call) "
                "SELECT 'O' || id, 'option', 'active', id, date '2023-12-15', 100, true FROM symbol_universe "
                "WHERE kind <> 'option' ORDER BY id LIMIT :n RETURNING id"
            ),
            {"n": CONTRACTS},
        )
        ids = np.array(sorted(inserted.scalars()))
    sessions = np.array(last_sessions(HISTORY + 5), dtype="datetime64[D]")
    _write_prices(database, sessions, ids, np.full((len(sessions), len(ids)), 4.25))
    return ids

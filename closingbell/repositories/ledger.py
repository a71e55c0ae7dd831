"""Ledgers read as arrays for valuation. Owners are not checked: this is the batch's view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import dict_row
from sqlalchemy import Connection

from closingbell.arrays import Bools, Dates, Floats, Ints
from closingbell.repositories.copying import array_cursor
from closingbell.repositories.database import driver

NEVER = -(2**31) + 1
"""The day number that stands for a missing date in the results of the queries."""


@dataclass(frozen=True)
class Ledger:
    """The ledgers of K portfolios with P positions, ordered by portfolio and position, as arrays.

    Parameters
    ----------
    portfolio_id, equity_cents : ndarray of int64, shape (K,)
    inception : ndarray of datetime64[D], shape (K,)
    position_id, symbol_id, underlying_id : ndarray of int64, shape (P,)
        Keys; 0 where there is none.
    portfolio : ndarray of int64, shape (P,)
        The position's portfolio as an index into the portfolios.
    symbol : list of str, length P
    is_private, is_option, is_call : ndarray of bool, shape (P,)
    quantity, entry_price, exit_price, strike : ndarray of float64, shape (P,)
    entry, exit, as_of, expiration : ndarray of datetime64[D], shape (P,)
    flow_portfolio, flow_cents : ndarray of int64, shape (F,)
    flow_day : ndarray of datetime64[D], shape (F,)
    valuation_position : ndarray of int64, shape (V,)
        The position as an index into the positions.
    valuation_day, valuation_price : ndarray, shape (V,)
    """

    portfolio_id: Ints
    equity_cents: Ints
    inception: Dates
    position_id: Ints
    symbol_id: Ints
    underlying_id: Ints
    portfolio: Ints
    symbol: list[str]
    is_private: Bools
    is_option: Bools
    is_call: Bools
    quantity: Floats
    entry_price: Floats
    exit_price: Floats
    strike: Floats
    entry: Dates
    exit: Dates
    as_of: Dates
    expiration: Dates
    flow_portfolio: Ints
    flow_cents: Ints
    flow_day: Dates
    valuation_position: Ints
    valuation_day: Dates
    valuation_price: Floats


_PORTFOLIOS = """
    SELECT array_agg(id ORDER BY id) AS id, array_agg((equity_balance * 100)::int8 ORDER BY id) AS equity_cents,
           array_agg(inception - date '1970-01-01' ORDER BY id) AS inception
    FROM portfolios WHERE deleted_at IS NULL AND (%(ids)s::int8[] IS NULL OR id = ANY(%(ids)s))
"""

_POSITIONS = f"""
    SELECT array_agg(id) AS id, array_agg(portfolio_id) AS portfolio_id, array_agg(symbol) AS symbol,
           array_agg(symbol_id) AS symbol_id, array_agg(underlying_id) AS underlying_id,
           array_agg(is_private) AS is_private, array_agg(is_option) AS is_option, array_agg(is_call) AS is_call,
           array_agg(quantity) AS quantity, array_agg(entry_price) AS entry_price, array_agg(exit_price) AS exit_price,
           array_agg(strike) AS strike, array_agg(entry) AS entry, array_agg(exit) AS exit, array_agg(as_of) AS as_of,
           array_agg(expiration) AS expiration
    FROM (
        SELECT p.id, p.portfolio_id, p.symbol, coalesce(p.symbol_id, 0)::int8 AS symbol_id,
               coalesce(u.underlying_id, 0)::int8 AS underlying_id,
               (p.investment_class = 'PRIVATE')::int4 AS is_private,
               (p.investment_class = 'OPTIONS')::int4 AS is_option,
               coalesce(u.is_call, false)::int4 AS is_call, p.quantity::float8 AS quantity,
               p.entry_price::float8 AS entry_price, coalesce(p.exit_price::float8, 'NaN') AS exit_price,
               coalesce(u.strike::float8, 'NaN') AS strike,
               p.entry_date - date '1970-01-01' AS entry,
               coalesce(p.exit_date - date '1970-01-01', {NEVER}) AS exit,
               p.quantity_as_of - date '1970-01-01' AS as_of,
               coalesce(u.expiration - date '1970-01-01', {NEVER}) AS expiration
        FROM positions p LEFT JOIN symbol_universe u ON u.id = p.symbol_id
        WHERE p.deleted_at IS NULL AND p.portfolio_id = ANY(%(ids)s)
        ORDER BY p.portfolio_id, p.id
    ) AS ordered
"""  # noqa: S608 - our own constant

_FLOWS = """
    SELECT array_agg(portfolio_id ORDER BY id) AS portfolio_id,
           array_agg(day - date '1970-01-01' ORDER BY id) AS day,
           array_agg((CASE kind WHEN 'contribution' THEN amount ELSE -amount END * 100)::int8 ORDER BY id) AS cents
    FROM equity_changes WHERE portfolio_id = ANY(%(ids)s)
"""

_VALUATIONS = """
    SELECT array_agg(v.position_id ORDER BY v.position_id, v.day) AS position_id,
           array_agg(v.day - date '1970-01-01' ORDER BY v.position_id, v.day) AS day,
           array_agg(v.price::float8 ORDER BY v.position_id, v.day) AS price
    FROM position_valuations v JOIN positions p ON p.id = v.position_id
    WHERE p.deleted_at IS NULL AND p.portfolio_id = ANY(%(ids)s)
"""


def read_ledger(connection: Connection, portfolio_ids: Sequence[int] | None = None) -> Ledger:
    """Read the ledgers of some portfolios, or of all."""
    portfolios = _fetch(connection, _PORTFOLIOS, portfolio_ids)
    keys = portfolios["id"].astype(np.int64)
    lots, flows, valuations = (_fetch(connection, query, keys.tolist()) for query in (_POSITIONS, _FLOWS, _VALUATIONS))
    return Ledger(
        portfolio_id=keys,
        equity_cents=portfolios["equity_cents"].astype(np.int64),
        inception=_days(portfolios["inception"]),
        position_id=lots["id"].astype(np.int64),
        portfolio=np.searchsorted(keys, lots["portfolio_id"]),
        symbol=list(lots["symbol"]),
        symbol_id=lots["symbol_id"].astype(np.int64),
        underlying_id=lots["underlying_id"].astype(np.int64),
        is_private=lots["is_private"].astype(np.bool_),
        is_option=lots["is_option"].astype(np.bool_),
        is_call=lots["is_call"].astype(np.bool_),
        quantity=lots["quantity"].astype(np.float64),
        entry_price=lots["entry_price"].astype(np.float64),
        exit_price=lots["exit_price"].astype(np.float64),
        strike=lots["strike"].astype(np.float64),
        entry=_days(lots["entry"]),
        exit=_days(lots["exit"]),
        as_of=_days(lots["as_of"]),
        expiration=_days(lots["expiration"]),
        flow_portfolio=np.searchsorted(keys, flows["portfolio_id"]),
        flow_cents=flows["cents"].astype(np.int64),
        flow_day=_days(flows["day"]),
        valuation_position=np.searchsorted(lots["id"], valuations["position_id"]),
        valuation_day=_days(valuations["day"]),
        valuation_price=valuations["price"].astype(np.float64),
    )


def _fetch(connection: Connection, query: str, ids: Sequence[int] | None) -> dict[str, NDArray[Any]]:
    """Return the columns of a query that aggregates each into one array, by name."""
    with array_cursor(driver(connection)) as cursor:
        cursor.row_factory = dict_row
        (columns,) = cursor.execute(query.encode(), {"ids": ids}).fetchall()
    # The aggregate of no rows is NULL.
    return {name: np.empty(0, dtype=np.int64) if array is None else array for name, array in columns.items()}


def _days(numbers: NDArray[np.generic]) -> Dates:
    days = numbers.astype(np.int64).astype("datetime64[D]")
    days[numbers == NEVER] = np.datetime64("NaT")
    return days

"""Daily metrics of symbols."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from sqlalchemy import Connection, text

from closingbell.arrays import Dates, Floats, Ints
from closingbell.calculations.metrics import SymbolMetrics
from closingbell.market.quality import PRICE_DECIMALS
from closingbell.repositories.companies import ProfileFigures
from closingbell.repositories.copying import Column, copy_rows
from closingbell.repositories.database import driver

TABLE = "symbol_daily_metrics"
CENTS = 2

_COUNTED = "observations"
_PRICE = "price"


def replace_metrics(
    connection: Connection, sessions: Dates, symbol_ids: Ints, metrics: SymbolMetrics, figures: ProfileFigures
) -> int:
    """Replace the rows of N symbols on S sessions; rows of other symbols stay. Return how many were written."""
    connection.execute(
        text(f"DELETE FROM {TABLE} WHERE session BETWEEN :first AND :last AND symbol_id = ANY(:ids)"),  # noqa: S608
        {"first": sessions[0].item(), "last": sessions[-1].item(), "ids": symbol_ids.tolist()},
    )
    statistics = [field.name for field in fields(metrics) if field.name not in {_COUNTED, _PRICE}]
    columns = [
        Column.date("session", np.repeat(sessions, len(symbol_ids))),
        Column.integer("symbol_id", np.tile(symbol_ids, len(sessions))),
        _numeric(_PRICE, metrics.price, PRICE_DECIMALS),
        *(Column.double(name, getattr(metrics, name).reshape(-1)) for name in statistics),
        Column.smallint(_COUNTED, metrics.observations.reshape(-1)),
        _numeric("market_cap", figures.market_cap, CENTS),
        Column.double("pe_ratio", figures.pe_ratio.reshape(-1)),
    ]
    return copy_rows(driver(connection), TABLE, [columns])


def _numeric(name: str, values: Floats, scale: int) -> Column:
    flat = values.reshape(-1)
    return Column.numeric(name, np.rint(np.nan_to_num(flat) * 10**scale).astype(np.int64), scale, np.isnan(flat))

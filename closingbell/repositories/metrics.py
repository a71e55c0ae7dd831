"""Daily metrics of symbols."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, text

from closingbell.arrays import Dates, Ints
from closingbell.calculations.metrics import SymbolMetrics
from closingbell.calculations.money import MONEY_DECIMALS
from closingbell.market.quality import PRICE_DECIMALS
from closingbell.repositories.companies import ProfileFigures
from closingbell.repositories.copying import Column, copy_rows
from closingbell.repositories.database import driver

TABLE = "symbol_daily_metrics"

_NOT_STATISTICS = {"price", "observations"}
"""The metrics that are not stored as double precision."""


def replace_metrics(
    connection: Connection, sessions: Dates, symbol_ids: Ints, metrics: SymbolMetrics, figures: ProfileFigures
) -> int:
    """Replace the rows of N symbols on S sessions; return how many were written. Rows of other symbols stay."""
    connection.execute(
        text(f"DELETE FROM {TABLE} WHERE session BETWEEN :first AND :last AND symbol_id = ANY(:ids)"),  # noqa: S608
        {"first": sessions[0].item(), "last": sessions[-1].item(), "ids": symbol_ids.tolist()},
    )
    # Every metric is stored in the column of its name.
    statistics = {name: values for name, values in vars(metrics).items() if name not in _NOT_STATISTICS}
    columns = [
        Column.date("session", np.repeat(sessions, len(symbol_ids))),
        Column.integer("symbol_id", np.tile(symbol_ids, len(sessions))),
        Column.rounded("price", metrics.price.reshape(-1), PRICE_DECIMALS),
        *(Column.double(name, values.reshape(-1)) for name, values in statistics.items()),
        Column.smallint("observations", metrics.observations.reshape(-1)),
        Column.rounded("market_cap", figures.market_cap.reshape(-1), MONEY_DECIMALS),
        Column.double("pe_ratio", figures.pe_ratio.reshape(-1)),
    ]
    return copy_rows(driver(connection), TABLE, [columns])

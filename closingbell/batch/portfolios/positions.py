"""The values of a portfolio's positions on one session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from closingbell.batch.portfolios.valuation import value_ledgers
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE
from closingbell.repositories.database import Connection


@dataclass(frozen=True)
class PositionValue:
    """What a position is worth at the close of a session.

    Parameters
    ----------
    counted : bool
        The position is open on that session: entered, and neither exited nor expired.
    stale : bool
        It is valued at the close of an earlier session.
    value, unrealized : Decimal or None
        Money; None without a price.
    """

    counted: bool
    stale: bool
    value: Decimal | None
    unrealized: Decimal | None


def value_positions(
    connection: Connection, portfolio_id: int, session: date, *, calendar: SessionCalendar
) -> dict[int, PositionValue]:
    """Value the positions of a portfolio on a session, as its snapshot does; return the values by position id."""
    valued = value_ledgers(connection, calendar, np.array([session], dtype="datetime64[D]"), [portfolio_id])
    ledger, snapshot = valued.ledger, valued.snapshots
    multiplier = np.where(ledger.is_option, CONTRACT_SIZE, 1.0)
    cost = np.rint(ledger.quantity * ledger.entry_price * multiplier * 100).astype(np.int64)
    values = {}
    for row, key in enumerate(ledger.position_id.tolist()):
        cents = int(snapshot.value[row, 0]) if snapshot.priced[row, 0] else None
        values[key] = PositionValue(
            counted=bool(snapshot.counted[row, 0]),
            stale=bool(snapshot.stale[row, 0]),
            value=None if cents is None else Decimal(cents).scaleb(-2),
            unrealized=None if cents is None else Decimal(cents - int(cost[row])).scaleb(-2),
        )
    return values

"""Read ledgers and the prices that they need, and value them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from closingbell.arrays import Dates, Ints
from closingbell.calculations.exposure import PricedLots
from closingbell.calculations.valuation import (
    STALE_SESSIONS,
    Actions,
    Flows,
    Lots,
    Market,
    Portfolios,
    Snapshots,
    Valuations,
    value_portfolios,
)
from closingbell.market.bars import ActionKind, CorporateAction
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE
from closingbell.repositories import prices
from closingbell.repositories.database import Connection
from closingbell.repositories.ledger import Ledger, read_ledger


@dataclass(frozen=True)
class ValuedPortfolios:
    """K portfolios valued on S sessions.

    Parameters
    ----------
    ledger : Ledger
        Their P positions and cash flows.
    price_ids : int64 (N,)
        The symbols whose prices the positions refer to; ascending.
    sessions : datetime64[D] (S,)
        Ascending.
    snapshots : Snapshots
    """

    ledger: Ledger
    price_ids: Ints
    sessions: Dates
    snapshots: Snapshots

    @property
    def lots(self) -> PricedLots:
        """Return the positions in the form that the exposures take."""
        ledger = self.ledger
        return PricedLots(
            portfolio=ledger.portfolio,
            column=_columns(self.price_ids, ledger.symbol_id),
            eligible=~(ledger.is_private | ledger.is_option),
            value=self.snapshots.value,
            priced=self.snapshots.priced,
        )

    @property
    def stored_nav(self) -> Ints:
        """Return the net asset values in cents that stored snapshots have, shape (K, S); 0 before the inception."""
        return np.where(self.snapshots.started, self.snapshots.nav, 0)


def value_ledgers(
    connection: Connection, calendar: SessionCalendar, sessions: Dates, portfolio_ids: Sequence[int] | None = None
) -> ValuedPortfolios:
    """Value some portfolios, or all of them (None), on S sessions from their ledgers and the stored prices."""
    ledger = read_ledger(connection, portfolio_ids)
    price_ids = np.unique(np.concatenate([ledger.symbol_id, ledger.underlying_id]))
    price_ids = price_ids[price_ids > 0]
    begin = min([sessions[0], *ledger.inception]).item()
    window = calendar.session_array(first_price_day(calendar, begin), sessions[-1].item())
    snapshots = value_portfolios(
        _lots(ledger, price_ids, calendar),
        Portfolios(ledger.equity_cents, ledger.inception),
        Flows(ledger.flow_portfolio, ledger.flow_day, ledger.flow_cents),
        Valuations(ledger.valuation_position, ledger.valuation_day, ledger.valuation_price),
        _market(connection, window, price_ids),
        sessions=sessions,
    )
    return ValuedPortfolios(ledger, price_ids, sessions, snapshots)


def first_price_day(calendar: SessionCalendar, inception: date) -> date:
    """Return the first session whose price a portfolio needs: an older price may stand in for one that is missing."""
    return calendar.offset(calendar.latest_on_or_before(inception), -STALE_SESSIONS)


def _market(connection: Connection, window: Dates, price_ids: Ints) -> Market:
    close = prices.read_matrix(connection, window, price_ids, ["close"])["close"]
    actions = prices.read_actions(connection, price_ids.tolist())
    return Market(
        sessions=window,
        close=close,
        splits=_actions(price_ids, actions, ActionKind.SPLIT),
        dividends=_actions(price_ids, actions, ActionKind.DIVIDEND),
    )


def _columns(price_ids: Ints, symbol_ids: Ints) -> Ints:
    """Return the columns of these symbols' prices; -1 for the id 0, which stands for no symbol."""
    return np.where(symbol_ids > 0, np.searchsorted(price_ids, symbol_ids), -1)


def _actions(price_ids: Ints, actions: dict[int, list[CorporateAction]], kind: ActionKind) -> Actions:
    rows = [(key, action) for key, listed in actions.items() for action in listed if action.kind is kind]
    return Actions(
        column=np.searchsorted(price_ids, np.array([key for key, _ in rows], dtype=np.int64)),
        ex_date=np.array([action.ex_date for _, action in rows], dtype="datetime64[D]"),
        value=np.array([float(action.value) for _, action in rows], dtype=np.float64),
    )


def _lots(ledger: Ledger, price_ids: Ints, calendar: SessionCalendar) -> Lots:
    """Return the ledger's positions in the form that the valuation takes."""
    holdings: dict[str, int] = {}
    # A contract that expires on a day without trading settles on the session before; the valuation must know which.
    settled = {day: calendar.latest_on_or_before(day) for day in set(ledger.expiration.tolist()) if day is not None}
    expiration = np.array([settled.get(day) for day in ledger.expiration.tolist()], dtype="datetime64[D]")
    return Lots(
        portfolio=ledger.portfolio,
        column=_columns(price_ids, ledger.symbol_id),
        holding=np.array([holdings.setdefault(symbol, len(holdings)) for symbol in ledger.symbol], dtype=np.int64),
        is_private=ledger.is_private,
        is_option=ledger.is_option,
        quantity=ledger.quantity,
        multiplier=np.where(ledger.is_option, CONTRACT_SIZE, 1.0),
        entry_price=ledger.entry_price,
        exit_price=ledger.exit_price,
        entry=ledger.entry,
        exit=ledger.exit,
        as_of=ledger.as_of,
        expiration=expiration,
        strike=ledger.strike,
        is_call=ledger.is_call,
        underlying=_columns(price_ids, ledger.underlying_id),
    )

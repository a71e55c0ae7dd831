"""Value every portfolio from its ledger and the stored prices, and add up what it is exposed to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from closingbell.arrays import Bools, Dates, Floats, Ints
from closingbell.batch.report import StepReport
from closingbell.calculations.exposure import PricedLots, factor_exposures, position_exposures
from closingbell.calculations.factor_definitions import FACTORS, MARKET_FACTOR
from closingbell.calculations.valuation import (
    STALE_SESSIONS,
    Actions,
    Flows,
    Lots,
    Market,
    Portfolios,
    Snapshots,
    Valuations,
    group_weights,
    value_portfolios,
)
from closingbell.errors import BatchError
from closingbell.market.bars import ActionKind, CorporateAction
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import CONTRACT_SIZE, Kind
from closingbell.repositories import companies, factors, locks, portfolios, prices, snapshots, universe
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.ledger import Ledger, read_ledger

logger = logging.getLogger(__name__)

ETF, PRIVATE, UNCLASSIFIED = "ETF", "Private", "Unclassified"

CELLS_PER_BLOCK = 400_000
"""Positions x sessions whose exposures, thirteen each, are held at a time."""


@dataclass(frozen=True)
class _Valued:
    """The ledgers, the price columns their lots refer to, and their snapshots on S sessions."""

    ledger: Ledger
    price_ids: Ints
    snapshots: Snapshots

    @property
    def lots(self) -> PricedLots:
        """Return the lots as the exposures take them."""
        ledger = self.ledger
        return PricedLots(
            portfolio=ledger.portfolio,
            column=_columns(self.price_ids, ledger.symbol_id),
            eligible=~(ledger.is_private | ledger.is_option),
            value=self.snapshots.value,
            priced=self.snapshots.priced,
        )


def compute_snapshots(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Value every portfolio on a range of sessions.

    Raises
    ------
    BatchError
        If a session's factors have not been computed.
    """
    days = np.array(sessions, dtype="datetime64[D]")
    with database.transaction(lock=locks.PORTFOLIOS) as connection:
        _require_factors(connection, sessions)
        valued = _value(connection, calendar, days)
        names, rows = _write_snapshots(connection, valued, days)
    return _report(valued.ledger, valued.snapshots, names, sessions, rows)


def compute_exposures(database: Database, sessions: Sequence[date], *, calendar: SessionCalendar) -> StepReport:
    """Add up the factor exposures of every portfolio and position on a range of sessions.

    Raises
    ------
    BatchError
        If a session's factors or snapshots have not been computed.
    """
    days = np.array(sessions, dtype="datetime64[D]")
    with database.transaction(lock=locks.PORTFOLIOS) as connection:
        _require_factors(connection, sessions)
        valued = _value(connection, calendar, days)
        ledger, started = valued.ledger, valued.snapshots.started
        nav, there = snapshots.read_nav(connection, days, ledger.portfolio_id)
        if (started & ~there).any() or (nav != np.where(started, valued.snapshots.nav, 0)).any():
            raise BatchError(
                "portfolio_snapshots is missing or older than the ledger or the prices",
                "Materialize portfolio_snapshots for the same sessions first",
            )
        written = _write_exposures(connection, valued, nav, days)
        if sessions[-1] == factors.newest_session(connection):
            portfolios.clear_stale(connection, ledger.portfolio_id.tolist())
    return StepReport(
        snapshots.PORTFOLIO_EXPOSURES,
        rows=written.rows,
        items=len(ledger.portfolio_id),
        rows_per_session=dict(zip(sessions, (started.sum(axis=0) * len(FACTORS)).tolist(), strict=True)),
        coverage=_mean(written.last_coverage),
        notes={"position rows": written.position_rows},
    )


def calculate_portfolios(
    database: Database,
    portfolio_ids: Sequence[int],
    session: date,
    *,
    calendar: SessionCalendar,
    patience: timedelta | None = None,
) -> None:
    """Write the snapshots and exposures of some portfolios on a session, and anew on every session that has them.

    The rows are those that the batch writes. Whoever changes one of these ledgers waits until they are written.

    Parameters
    ----------
    patience : timedelta or None
        How long to wait while the batch writes; None: until it has ended.

    Raises
    ------
    BusyError
        When the patience has ended.
    BatchError
        If the session's factors have not been computed.
    """
    with database.transaction() as connection:
        portfolios.lock(connection, portfolio_ids, patience)
        _require_factors(connection, [session])
        groups: dict[tuple[date, ...], list[int]] = {}
        written = snapshots.sessions_of(connection, portfolio_ids)
        for key in sorted(portfolio_ids):
            groups.setdefault(tuple(sorted({session, *written.get(key, ())})), []).append(key)
        for sessions, members in groups.items():
            days = np.array(sessions, dtype="datetime64[D]")
            valued = _value(connection, calendar, days, members)
            _write_snapshots(connection, valued, days)
            nav = np.where(valued.snapshots.started, valued.snapshots.nav, 0)
            _write_exposures(connection, valued, nav, days)
        portfolios.clear_stale(connection, portfolio_ids)


@dataclass(frozen=True)
class PositionValue:
    """What a position is worth at the close of a session.

    Parameters
    ----------
    counted : bool
        It is a position on that session: entered, and neither exited nor expired.
    stale : bool
        Valued at an older close.
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
    """Value the positions of a portfolio as its snapshot of a session does, by position."""
    valued = _value(connection, calendar, np.array([session], dtype="datetime64[D]"), [portfolio_id])
    ledger, result = valued.ledger, valued.snapshots
    multiplier = np.where(ledger.is_option, CONTRACT_SIZE, 1.0)
    cost = np.rint(ledger.quantity * ledger.entry_price * multiplier * 100).astype(np.int64)
    found = {}
    for row, key in enumerate(ledger.position_id.tolist()):
        cents = int(result.value[row, 0]) if result.priced[row, 0] else None
        found[key] = PositionValue(
            counted=bool(result.counted[row, 0]),
            stale=bool(result.stale[row, 0]),
            value=None if cents is None else Decimal(cents).scaleb(-2),
            unrealized=None if cents is None else Decimal(cents - int(cost[row])).scaleb(-2),
        )
    return found


def _write_snapshots(connection: Connection, valued: _Valued, days: Dates) -> tuple[snapshots.SnapshotNames, int]:
    betas = factors.read_betas(connection, days, valued.price_ids)
    exposed = factor_exposures(valued.lots, valued.snapshots.nav, betas[:, [MARKET_FACTOR]])
    names = _names(connection, valued, days)
    rows = snapshots.replace_snapshots(
        connection, days, valued.ledger.portfolio_id, valued.snapshots, exposed.value[:, :, 0], names
    )
    return names, rows


@dataclass(frozen=True)
class _Written:
    """How many exposures were written, and the portfolios' coverage by factor on the last session, shape (K, F)."""

    rows: int
    position_rows: int
    last_coverage: Floats


def _write_exposures(connection: Connection, valued: _Valued, nav: Ints, days: Dates) -> _Written:
    """Add up and write the exposures, a block of sessions at a time."""
    ledger, lots, started = valued.ledger, valued.lots, valued.snapshots.started
    snapshots.delete_exposures(connection, days, ledger.portfolio_id)
    rows = position_rows = 0
    step = max(1, CELLS_PER_BLOCK // max(1, len(ledger.position_id)))
    for start in range(0, len(days), step):
        span = slice(start, start + step)
        part = PricedLots(lots.portfolio, lots.column, lots.eligible, lots.value[:, span], lots.priced[:, span])
        betas = factors.read_betas(connection, days[span], valued.price_ids)
        whole = factor_exposures(part, nav[:, span], betas)
        rows += snapshots.add_portfolio_exposures(connection, days[span], ledger.portfolio_id, whole, started[:, span])
        position_rows += snapshots.add_position_exposures(
            connection,
            days[span],
            ledger.portfolio_id[ledger.portfolio],
            ledger.position_id,
            position_exposures(part, nav[:, span], betas),
        )
        logger.info("exposures of %d of %d sessions", min(span.stop, len(days)), len(days))
    return _Written(rows, position_rows, whole.coverage[:, -1])


def _require_factors(connection: Connection, sessions: Sequence[date]) -> None:
    missing = sorted(set(sessions) - factors.sessions_with_estimates(connection, sessions))
    if missing:
        raise BatchError(
            f"the symbol batch has not been computed for {len(missing)} of {len(sessions)} sessions, from {missing[0]}",
            "Materialize symbol_factors for them first",
        )


def _value(
    connection: Connection, calendar: SessionCalendar, days: Dates, portfolio_ids: Sequence[int] | None = None
) -> _Valued:
    """Read all ledgers, or some, and the prices they need, and value them on the wanted sessions."""
    ledger = read_ledger(connection, portfolio_ids)
    price_ids = np.unique(np.concatenate([ledger.symbol_id, ledger.underlying_id]))
    price_ids = price_ids[price_ids > 0]
    begin = min([days[0], *ledger.inception]).item()
    window = calendar.session_array(first_price_day(calendar, begin), days[-1].item())
    close = prices.read_matrix(connection, window, price_ids, ["close"])["close"]
    actions = prices.read_actions(connection, price_ids.tolist())
    market = Market(
        sessions=window,
        close=close,
        splits=_actions(price_ids, actions, ActionKind.SPLIT),
        dividends=_actions(price_ids, actions, ActionKind.DIVIDEND),
    )
    valued = value_portfolios(
        _lots(ledger, price_ids, calendar),
        Portfolios(ledger.equity_cents, ledger.inception),
        Flows(ledger.flow_portfolio, ledger.flow_day, ledger.flow_cents),
        Valuations(ledger.valuation_position, ledger.valuation_day, ledger.valuation_price),
        market,
        sessions=days,
    )
    return _Valued(ledger, price_ids, valued)


def first_price_day(calendar: SessionCalendar, inception: date) -> date:
    """Return the first session whose price a portfolio needs: one a few sessions old may stand in for a missing one."""
    return calendar.offset(calendar.latest_on_or_before(inception), -STALE_SESSIONS)


def _columns(price_ids: Ints, symbol_ids: Ints) -> Ints:
    """Return the columns that hold these symbols' prices, -1 for the key 0, which stands for none."""
    return np.where(symbol_ids > 0, np.searchsorted(price_ids, symbol_ids), -1)


def _actions(price_ids: Ints, actions: dict[int, list[CorporateAction]], kind: ActionKind) -> Actions:
    rows = [(key, action) for key, listed in actions.items() for action in listed if action.kind is kind]
    return Actions(
        column=np.searchsorted(price_ids, np.array([key for key, _ in rows], dtype=np.int64)),
        ex_date=np.array([action.ex_date for _, action in rows], dtype="datetime64[D]"),
        value=np.array([float(action.value) for _, action in rows], dtype=np.float64),
    )


def _lots(ledger: Ledger, price_ids: Ints, calendar: SessionCalendar) -> Lots:
    """Return the ledger's positions as the valuation takes them."""
    holdings: dict[str, int] = {}
    # A contract that expires on a day without trading settles on the session before, which must be known beforehand.
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


def _names(connection: Connection, valued: _Valued, sessions: Dates) -> snapshots.SnapshotNames:
    """Put sectors and the symbols without a fresh price into words."""
    ledger, result = valued.ledger, valued.snapshots
    weights, labels = _sector_weights(connection, valued, sessions)
    named = [
        {labels[group]: round(float(row[group]), 6) for group in np.flatnonzero(row > 0)}
        for session in weights.transpose(1, 0, 2)
        for row in session
    ]
    return snapshots.SnapshotNames(
        sector_weights=named,
        missing=_symbols_where(ledger, result.counted & ~result.priced),
        stale=_symbols_where(ledger, result.stale),
    )


def _sector_weights(connection: Connection, valued: _Valued, sessions: Dates) -> tuple[Floats, list[str]]:
    """Return weights by sector, shape (K, S, G), and the G sectors, as they were known on each session."""
    ledger = valued.ledger
    funds = {item.id for item in universe.known(connection, [Kind.ETF])}
    # An option belongs where its underlying does.
    classified = np.where(ledger.underlying_id > 0, ledger.underlying_id, ledger.symbol_id)
    ids, inverse = np.unique(classified, return_inverse=True)
    labels: dict[str, int] = {}
    group = np.empty((len(ids), len(sessions)), dtype=np.int64)
    for column, known in enumerate(companies.read_sectors(connection, sessions, ids.tolist())):
        for row, key in enumerate(ids.tolist()):
            sector = PRIVATE if key == 0 else ETF if key in funds else known.get(key, UNCLASSIFIED)
            group[row, column] = labels.setdefault(sector, len(labels))
    weights = group_weights(
        valued.snapshots.value, ledger.portfolio, group[inverse], len(ledger.portfolio_id), len(labels)
    )
    return weights, list(labels)


def _symbols_where(ledger: Ledger, mask: Bools) -> list[list[str]]:
    """Return the symbols of the lots in a mask (P, S) by session and portfolio, length S x K."""
    count = len(ledger.portfolio_id)
    result: list[set[str]] = [set() for _ in range(mask.shape[1] * count)]
    for lot, session in zip(*np.nonzero(mask), strict=True):
        result[session * count + ledger.portfolio[lot]].add(ledger.symbol[lot])
    return [sorted(symbols) for symbols in result]


def _report(
    ledger: Ledger, result: Snapshots, names: snapshots.SnapshotNames, sessions: Sequence[date], rows: int
) -> StepReport:
    missing = sorted({symbol for symbols in names.missing for symbol in symbols})
    last = np.flatnonzero(result.started[:, -1])[:10]
    return StepReport(
        snapshots.SNAPSHOTS,
        rows=rows,
        items=len(ledger.portfolio_id),
        warnings=dict.fromkeys(missing, "no price on some of the sessions: the snapshots that hold it are partial"),
        rows_per_session=dict(zip(sessions, result.started.sum(axis=0).tolist(), strict=True)),
        coverage=_mean(result.coverage[:, -1]),
        notes={"positions": len(ledger.position_id)},
        sample=[
            {
                "portfolio": int(ledger.portfolio_id[row]),
                "NAV": f"{result.nav[row, -1] / 100:,.2f}",
                "day": f"{result.daily_return[row, -1]:+.2%}",
                "since inception": f"{result.cumulative_return[row, -1]:+.2%}",
            }
            for row in last
        ],
    )


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None

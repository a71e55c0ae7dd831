"""The price steps: of stocks and funds, and of option contracts, for the batch and for new symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from closingbell.batch.inputs import StepInputs
from closingbell.batch.prices.fetching import Fetch, Fetched, contracts_from, fetch_needed, shares_from
from closingbell.batch.prices.ranges import is_incomplete
from closingbell.batch.prices.reporting import report_prices
from closingbell.batch.prices.storing import store
from closingbell.batch.report import StepReport
from closingbell.batch.selection import active_shares
from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instruments, Kind
from closingbell.providers.base import Answer, MarketDataProvider, Outcome
from closingbell.repositories import locks, prices, universe
from closingbell.repositories.database import Database


def refresh_prices(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, calendar: SessionCalendar
) -> StepReport:
    """Bring the bars of all active stocks and funds up to date for a range of sessions.

    Raises
    ------
    ConfigurationError
        If the universe is empty.
    ProviderError, BatchError
        If most symbols fail.
    """
    with database.transaction() as connection:
        instruments = active_shares(connection)
    fetch = shares_from(provider)
    fetched, revised = _fetch_and_store(database, calendar, instruments, sessions, fetch, lock=locks.PRICES)
    return _report(database, instruments, sessions, fetched, revised).require_majority(len(instruments))


def refresh_option_prices(
    database: Database, sessions: Sequence[date], *, provider: MarketDataProvider, calendar: SessionCalendar
) -> StepReport:
    """Bring the bars of all active option contracts up to date for a range of sessions.

    A contract that expired before the range is fetched once, since snapshots need all prices since their inception.

    Raises
    ------
    ProviderError, BatchError
        If most contracts fail.
    """
    with database.transaction() as connection:
        contracts = universe.active(connection, [Kind.OPTION])
    needed = Instruments(item for item in contracts if is_incomplete(calendar, item, sessions))
    fetch = contracts_from(provider)
    fetched, revised = _fetch_and_store(database, calendar, needed, sessions, fetch, lock=locks.OPTION_PRICES)
    return _report(database, needed, sessions, fetched, revised).require_majority(len(contracts))


def onboard_prices(
    database: Database, shares: Instruments, session: date, inputs: StepInputs
) -> dict[str, Answer[Bars]]:
    """Fetch and store the bars of stocks and funds that are new to the plant, as the batch does.

    Parameters
    ----------
    session : date
        The newest session that the batch has computed. Bars are fetched up to the latest one, which the batch may be
        about to compute.

    Returns
    -------
    dict of str to Answer
        Why a symbol failed. A symbol without any bar has failed too: the provider may know it, but there is nothing to
        follow.
    """
    sessions, fetch = inputs.sessions_since(session), shares_from(inputs.provider)
    fetched, _ = _fetch_and_store(database, inputs.calendar, shares, sessions, fetch, lock=locks.PRICES)
    return _failures(shares, fetched)


def onboard_option_prices(
    database: Database, contracts: Instruments, session: date, inputs: StepInputs
) -> dict[str, Answer[Bars]]:
    """Fetch and store the bars of option contracts that are new to the plant, like `onboard_prices`.

    A contract that expired before all sessions that are needed is not fetched, and does not fail.
    """
    sessions = inputs.sessions_since(session)
    needed = Instruments(item for item in contracts if is_incomplete(inputs.calendar, item, sessions))
    if not needed:
        return {}
    fetch = contracts_from(inputs.provider)
    fetched, _ = _fetch_and_store(database, inputs.calendar, needed, sessions, fetch, lock=locks.OPTION_PRICES)
    return _failures(needed, fetched)


def _report(
    database: Database,
    instruments: Instruments,
    sessions: Sequence[date],
    fetched: Fetched,
    revised: Mapping[int, date],
) -> StepReport:
    """Report on a range of sessions, from the prices that are stored now."""
    with database.transaction() as connection:
        known = prices.read_matrix(connection, np.array(sessions, dtype="datetime64[D]"), instruments.ids, ["close"])
    return report_prices(instruments, sessions, fetched, revised, np.isfinite(known["close"]))


def _failures(instruments: Instruments, fetched: Fetched) -> dict[str, Answer[Bars]]:
    """Return the failed answers by symbol, and an empty one for each new symbol that has no bar."""
    empty: dict[str, Answer[Bars]] = {
        item.symbol: Answer(Outcome.EMPTY, reason=f"no price since {fetched.known[item.id][0]}")
        for item in instruments
        if item.history is None and item.id in fetched.bars and not len(fetched.bars[item.id].sessions)
    }
    return fetched.failed | empty


def _fetch_and_store(
    database: Database,
    calendar: SessionCalendar,
    instruments: Instruments,
    sessions: Sequence[date],
    fetch: Fetch,
    lock: str,
) -> tuple[Fetched, dict[int, date]]:
    """Fetch what is needed and store it.

    Returns the fetched bars and, by symbol id, since when stored prices have changed.
    """
    fetched = fetch_needed(database, calendar, instruments, sessions, fetch)
    with database.transaction(lock=lock) as connection:
        return fetched, store(connection, fetched)

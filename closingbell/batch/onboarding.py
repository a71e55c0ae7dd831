"""Learn symbols that somebody has asked for, so that the rows are those of the nightly batch, seconds later.

A symbol goes through the steps of the batch on its own: a year of prices, profile and statements, then factors and
metrics of the newest session that the batch has computed. With the last of them it becomes active, in the same
transaction and under the same locks as the batch's own steps: a batch that runs at the same time has computed its
session before and without the symbol, and then it is computed here, or it will find the symbol active.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from time import monotonic

from closingbell.batch.companies import onboard_companies
from closingbell.batch.factors import onboard_factors
from closingbell.batch.metrics import onboard_metrics
from closingbell.batch.portfolios import calculate_portfolios
from closingbell.batch.prices import onboard_prices
from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instruments
from closingbell.providers.base import Answer, MarketDataProvider, Outcome
from closingbell.repositories import factors, locks, portfolios, queue, universe
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.queue import LeaseLostError, Refusal, Waiting

logger = logging.getLogger("closingbell.onboarding")

MOST_SYMBOLS = 50
"""Of one run."""

ABANDONED_SECONDS = 5.0
"""A portfolio that has been stale for so long will not be written by whoever made it so."""

FINAL = {Outcome.NOT_FOUND, Outcome.EMPTY}
"""Answers that asking again will not change."""


@dataclass(frozen=True)
class SymbolOutcome:
    """What became of one request.

    Parameters
    ----------
    symbol : str
    done : bool
        The symbol is active.
    reason : str
        Why it is not, or what could not be learnt of it.
    """

    symbol: str
    done: bool
    reason: str = ""


@dataclass
class OnboardingResult:
    """What a run has done.

    Parameters
    ----------
    session : date
        The session that factors, metrics and snapshots are of.
    symbols : list of SymbolOutcome
    portfolios : list of int
        Those whose snapshots were written.
    """

    session: date
    symbols: list[SymbolOutcome] = field(default_factory=list)
    portfolios: list[int] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        """Return the symbols that could not be learnt, with the reasons."""
        return {each.symbol: each.reason for each in self.symbols if not each.done}


def pending_work(database: Database, connection: Connection) -> tuple[Waiting, list[int]]:
    """Return what waits to be learnt and which portfolios wait to be written, after taking back what the dead hold.

    Parameters
    ----------
    connection : Connection
        One whose statements are transactions of their own, or a transaction.
    """
    dead = [run for run in queue.lease_holders(connection) if not database.is_leased(locks.run(run))]
    if queue.release(connection, dead):
        logger.warning("V2_ONBOARDING step=release dead_runs=%s", ",".join(dead) or "-")
    return queue.waiting(connection), portfolios.stale(connection, ABANDONED_SECONDS)


class Onboarding:
    """The requests that one run works on.

    Parameters
    ----------
    database : Database
    provider : MarketDataProvider
    calendar : SessionCalendar
    latest : date
        The newest session that has closed and that the provider has.
    run_id : str
        Who works; its lease tells that it lives.
    """

    def __init__(
        self, database: Database, provider: MarketDataProvider, calendar: SessionCalendar, latest: date, run_id: str
    ) -> None:
        self._database = database
        self._provider = provider
        self._calendar = calendar
        self._latest = latest
        self._run_id = run_id

    def run(self, progress: Callable[[SymbolOutcome], None] = lambda _: None) -> OnboardingResult:
        """Work until nothing is due, on at most `MOST_SYMBOLS` symbols, and write the portfolios that wait for them.

        Parameters
        ----------
        progress : callable
            Told of every symbol as it ends.
        """
        result = OnboardingResult(self._session())
        while len(result.symbols) < MOST_SYMBOLS:
            with self._database.transaction() as connection:
                pending_work(self._database, connection)
                claimed = queue.claim(connection, self._run_id, MOST_SYMBOLS - len(result.symbols))
                instruments = universe.by_id(connection, claimed)
            for outcome in self._onboard_separately(instruments):
                result.symbols.append(outcome)
                progress(outcome)
            written = self._write_portfolios(claimed)
            result.portfolios += written
            if not claimed and not written:
                break
        return result

    def _session(self) -> date:
        with self._database.transaction() as connection:
            return self._computed(connection)

    def _computed(self, connection: Connection) -> date:
        """Return the newest session that the batch has computed; on an install without any, the latest there is."""
        return factors.newest_session(connection) or self._latest

    def _onboard_separately(self, instruments: Instruments) -> Iterator[SymbolOutcome]:
        """Learn symbols together, and one by one where that fails: one bad symbol must not harm the others."""
        if not instruments:
            return
        try:
            yield from self._onboard(instruments)
        except LeaseLostError:
            raise
        except Exception as error:
            if len(instruments) > 1:
                logger.exception("V2_ONBOARDING step=learn status=failed, trying %d symbols apart", len(instruments))
                for each in instruments:
                    yield from self._onboard_separately(Instruments([each]))
            else:
                logger.exception("V2_ONBOARDING step=learn status=failed symbol=%s", instruments[0].symbol)
                yield from self._refuse(instruments, {instruments[0].symbol: Refusal(f"error: {error}", final=False)})

    def _onboard(self, instruments: Instruments) -> list[SymbolOutcome]:
        session = self._session()
        with _step("prices", instruments.symbols):
            # To the latest session, which the batch may be about to compute.
            sessions = self._calendar.sessions(min(session, self._latest), self._latest)
            failed = onboard_prices(
                self._database, instruments, sessions, provider=self._provider, calendar=self._calendar
            )
        refused = self._refuse(instruments, {symbol: _refusal(answer) for symbol, answer in failed.items()})
        priced = Instruments(item for item in instruments if item.symbol not in failed)
        if not priced:
            return refused
        shares = Instruments(item for item in priced if item.contract is None)
        with _step("companies", shares.symbols):
            lacking = onboard_companies(
                self._database, shares, self._profiled(session, sessions), provider=self._provider
            )
        with _step("factors", shares.symbols):
            self._activate(priced, shares)
        return [
            *refused,
            *(SymbolOutcome(item.symbol, done=True, reason=lacking.get(item.symbol, "")) for item in priced),
        ]

    def _profiled(self, session: date, sessions: Sequence[date]) -> date:
        """Return the session that today's profile belongs to.

        Between the close and the batch the newest computed session is yesterday's, and the portfolio is valued at it:
        that one knows the company. An older one does not; a provider only knows the present.
        """
        return session if len(sessions) <= 2 else self._latest

    def _activate(self, priced: Instruments, shares: Instruments) -> None:
        """Compute what is computed by session, and make the symbols active, in one transaction."""
        with self._database.transaction(lock=(locks.SYMBOL_FACTORS, locks.SYMBOL_METRICS)) as connection:
            session = self._computed(connection)
            if shares:
                onboard_factors(connection, shares, session, calendar=self._calendar)
                onboard_metrics(connection, shares, [session], calendar=self._calendar)
            holders = self._hold(connection, priced.ids.tolist())
            queue.complete(connection, self._run_id, priced.ids.tolist(), followed_from=session)
            portfolios.mark_stale(connection, holders)

    @staticmethod
    def _hold(connection: Connection, symbol_ids: Sequence[int]) -> list[int]:
        """Return the portfolios that hold symbols, and keep others from writing them: what we say of them must stay.

        To be called before the symbols' own rows are changed, which is the order of everybody who changes both.
        """
        holders = portfolios.holders(connection, symbol_ids)
        portfolios.lock(connection, holders)
        return holders

    def _refuse(self, instruments: Instruments, refusals: Mapping[str, Refusal]) -> list[SymbolOutcome]:
        ids = {item.symbol: item.id for item in instruments}
        by_id = {ids[symbol]: refusal for symbol, refusal in refusals.items()}
        with self._database.transaction() as connection:
            holders = self._hold(connection, list(by_id))
            queue.refuse(connection, self._run_id, by_id)
            portfolios.mark_stale(connection, holders)
        return [SymbolOutcome(symbol, done=False, reason=refusal.reason) for symbol, refusal in refusals.items()]

    def _write_portfolios(self, symbol_ids: Sequence[int]) -> list[int]:
        """Write the portfolios that hold these symbols, and those that were left stale."""
        with self._database.transaction() as connection:
            keys = sorted(
                {*portfolios.holders(connection, symbol_ids), *portfolios.stale(connection, ABANDONED_SECONDS)}
            )
        if not keys:
            return []
        with _step("portfolios", portfolio_ids=keys):
            write_portfolios(self._database, self._calendar, keys)
        return keys


def write_portfolios(
    database: Database, calendar: SessionCalendar, portfolio_ids: Sequence[int], patience: timedelta | None = None
) -> None:
    """Write the snapshots of some portfolios, or leave them to the batch when it has not computed any session yet.

    Raises
    ------
    BusyError
        If the batch writes portfolios for longer than `patience`.
    """
    with database.transaction() as connection:
        session = factors.newest_session(connection)
        if session is None:
            portfolios.clear_stale(connection, portfolio_ids)
    if session is not None:
        calculate_portfolios(database, portfolio_ids, session, calendar=calendar, patience=patience)


def _refusal(answer: Answer[Bars]) -> Refusal:
    return Refusal(str(answer), final=answer.outcome in FINAL)


@contextmanager
def _step(name: str, symbols: Sequence[str] = (), portfolio_ids: Sequence[int] = ()) -> Iterator[None]:
    """Tell the log what a step was about and how long it took; never what anybody holds of it."""
    began = monotonic()
    status = "failed"
    try:
        yield
        status = "completed"
    finally:
        logger.info(
            "V2_ONBOARDING step=%s status=%s symbol=%s portfolio_id=%s duration_ms=%d",
            name,
            status,
            ",".join(symbols) or "-",
            ",".join(map(str, portfolio_ids)) or "-",
            (monotonic() - began) * 1000,
        )

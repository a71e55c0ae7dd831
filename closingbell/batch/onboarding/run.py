"""An onboarding run: works on the requested symbols, and on the portfolios that wait for them.

A symbol goes through the steps of the batch on its own: a year of prices, profile and statements, then factors and
metrics on the newest session that the batch has computed. These last rows and the symbol's new status, active, are
written in one transaction under the locks of the batch's own steps. So a batch that runs at the same time either has
computed its session before, without the symbol, and the symbol is computed on that session here; or it finds the
symbol active and computes it itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from closingbell.batch.inputs import StepInputs
from closingbell.batch.onboarding.log import logged
from closingbell.batch.onboarding.pending import abandoned_portfolios, pending_work
from closingbell.batch.onboarding.portfolios import write_portfolios
from closingbell.batch.onboarding.symbols import compute, compute_locks, fetch_optional, fetch_required
from closingbell.market.bars import Bars
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Instruments
from closingbell.providers.base import Answer, MarketDataProvider, Outcome
from closingbell.repositories import factors, portfolios, queue, universe
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.queue import LeaseLostError, Refusal

logger = logging.getLogger("closingbell.onboarding")

MOST_SYMBOLS = 50
"""How many symbols one run works on at most."""

FINAL = {Outcome.NOT_FOUND, Outcome.EMPTY}
"""Outcomes that a retry does not change."""


@dataclass(frozen=True)
class SymbolOutcome:
    """The outcome of one request.

    Parameters
    ----------
    symbol : str
    done : bool
        The symbol is active.
    reason : str
        Why it is not active, or which of its data could not be fetched.
    """

    symbol: str
    done: bool
    reason: str = ""


@dataclass
class OnboardingResult:
    """The outcome of a run.

    Parameters
    ----------
    session : date
        The session of the factors, metrics and snapshots.
    symbols : list of SymbolOutcome
    portfolios : list of int
        Those whose snapshots were written.
    """

    session: date
    symbols: list[SymbolOutcome] = field(default_factory=list)
    portfolios: list[int] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        """Return the symbols that could not be onboarded, with the reasons."""
        return {outcome.symbol: outcome.reason for outcome in self.symbols if not outcome.done}


class Onboarding:
    """One onboarding run.

    Parameters
    ----------
    database : Database
    provider : MarketDataProvider
    calendar : SessionCalendar
    latest : date
        The newest session that has closed and that the provider has.
    run_id : str
        The run that leases the requests. While it works it must hold the lease `locks.run(run_id)`.
    """

    def __init__(
        self, database: Database, provider: MarketDataProvider, calendar: SessionCalendar, latest: date, run_id: str
    ) -> None:
        self._database = database
        self._inputs = StepInputs(provider, calendar, latest)
        self._run_id = run_id

    def run(self, progress: Callable[[SymbolOutcome], None] = lambda _: None) -> OnboardingResult:
        """Work until nothing is due, on at most `MOST_SYMBOLS` symbols, and write the portfolios that wait for them.

        Parameters
        ----------
        progress : callable
            Called with the outcome of every symbol as its request ends.

        Raises
        ------
        LeaseLostError
            If another run works on a request of this one.
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
        """Return the newest session that the batch has computed; before its first run, the latest session."""
        return factors.newest_session(connection) or self._inputs.latest

    def _onboard_separately(self, instruments: Instruments) -> Iterator[SymbolOutcome]:
        """Onboard symbols together; where that fails one by one, so that a bad symbol does not affect the others."""
        if not instruments:
            return
        try:
            yield from self._onboard(instruments)
        except LeaseLostError:
            raise
        except Exception as error:
            if len(instruments) > 1:
                logger.exception(
                    "V2_ONBOARDING step=onboard status=failed, retrying %d symbols one by one", len(instruments)
                )
                for instrument in instruments:
                    yield from self._onboard_separately(Instruments([instrument]))
            else:
                logger.exception("V2_ONBOARDING step=onboard status=failed symbol=%s", instruments[0].symbol)
                yield from self._refuse(instruments, {instruments[0].symbol: Refusal(f"error: {error}", final=False)})

    def _onboard(self, instruments: Instruments) -> list[SymbolOutcome]:
        session = self._session()
        failed = fetch_required(self._database, instruments, session, self._inputs)
        refused = self._refuse(instruments, {symbol: _refusal(answer) for symbol, answer in failed.items()})
        accepted = Instruments(item for item in instruments if item.symbol not in failed)
        if not accepted:
            return refused
        reasons = fetch_optional(self._database, accepted, session, self._inputs)
        with logged("activation", accepted.symbols):
            self._activate(accepted)
        active = [SymbolOutcome(item.symbol, done=True, reason=reasons.get(item.symbol, "")) for item in accepted]
        return [*refused, *active]

    def _activate(self, instruments: Instruments) -> None:
        """Compute the newest session and make the symbols active, in one transaction."""
        ids = instruments.ids.tolist()
        with self._database.transaction(lock=compute_locks()) as connection:
            session = self._computed(connection)
            compute(connection, instruments, session, self._inputs)
            holders = self._lock_holders(connection, ids)
            queue.complete(connection, self._run_id, ids, followed_from=session)
            portfolios.mark_stale(connection, holders)

    @staticmethod
    def _lock_holders(connection: Connection, symbol_ids: Sequence[int]) -> list[int]:
        """Lock the portfolios that hold symbols, so that no other transaction writes them before they are stale.

        The locks are taken before the symbols' own rows are changed. Every transaction that does both keeps this
        order, so that no two can wait for each other.
        """
        holders = portfolios.holders(connection, symbol_ids)
        portfolios.lock(connection, holders)
        return holders

    def _refuse(self, instruments: Instruments, refusals: Mapping[str, Refusal]) -> list[SymbolOutcome]:
        ids = {item.symbol: item.id for item in instruments}
        by_id = {ids[symbol]: refusal for symbol, refusal in refusals.items()}
        with self._database.transaction() as connection:
            holders = self._lock_holders(connection, list(by_id))
            queue.refuse(connection, self._run_id, by_id)
            portfolios.mark_stale(connection, holders)
        return [SymbolOutcome(symbol, done=False, reason=refusal.reason) for symbol, refusal in refusals.items()]

    def _write_portfolios(self, symbol_ids: Sequence[int]) -> list[int]:
        """Write the portfolios that hold these symbols, and the abandoned ones."""
        with self._database.transaction() as connection:
            keys = sorted({*portfolios.holders(connection, symbol_ids), *abandoned_portfolios(connection)})
        if not keys:
            return []
        with logged("portfolios", portfolio_ids=keys):
            write_portfolios(self._database, self._inputs.calendar, keys)
        return keys


def _refusal(answer: Answer[Bars]) -> Refusal:
    return Refusal(str(answer), final=answer.outcome in FINAL)

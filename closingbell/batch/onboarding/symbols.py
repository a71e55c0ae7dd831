"""Write the rows of newly requested symbols, step by step, as the batch does for all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from closingbell.batch.inputs import StepInputs
from closingbell.batch.onboarding.log import logged
from closingbell.batch.step import ComputeForSymbols, FetchOptional, FetchRequired
from closingbell.batch.steps import onboarding_steps
from closingbell.market.bars import Bars
from closingbell.market.instruments import Instrument, Instruments
from closingbell.providers.base import Answer
from closingbell.repositories import universe
from closingbell.repositories.database import Connection, Database


def fetch_required(
    database: Database, instruments: Instruments, session: date, inputs: StepInputs
) -> dict[str, Answer[Bars]]:
    """Fetch and store what symbols cannot be followed without; return the failed answers by symbol."""
    failed: dict[str, Answer[Bars]] = {}
    for step, method in onboarding_steps(FetchRequired):
        selected = _select(instruments, method.selects)
        if selected:
            with logged(step.name, selected.symbols):
                failed |= method.fetch(database, selected, session, inputs)
    return failed


def fetch_optional(database: Database, instruments: Instruments, session: date, inputs: StepInputs) -> dict[str, str]:
    """Fetch and store what symbols can be followed without; return the first reason of failure by symbol."""
    reasons: dict[str, str] = {}
    for step, method in onboarding_steps(FetchOptional):
        with database.transaction() as connection:
            # Read again, since the step before may have found that a symbol is a fund.
            current = universe.by_id(connection, instruments.ids.tolist())
        selected = _select(current, method.selects)
        if selected:
            with logged(step.name, selected.symbols):
                reasons = {**method.fetch(database, selected, session, inputs), **reasons}
    return reasons


def compute_locks() -> tuple[str, ...]:
    """Return the locks under which `compute` is called, in the order of the steps."""
    return tuple(method.lock for _, method in onboarding_steps(ComputeForSymbols))


def compute(connection: Connection, instruments: Instruments, session: date, inputs: StepInputs) -> None:
    """Compute and write the rows of symbols on a session.

    Parameters
    ----------
    connection : Connection
        A transaction under all `compute_locks`.
    """
    for step, method in onboarding_steps(ComputeForSymbols):
        selected = _select(instruments, method.selects)
        if selected:
            with logged(step.name, selected.symbols):
                method.compute(connection, selected, session, inputs)


def _select(instruments: Instruments, selects: Callable[[Instrument], bool]) -> Instruments:
    return Instruments(item for item in instruments if selects(item))

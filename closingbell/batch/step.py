"""A step of the nightly batch, and how its rows are written outside of the batch.

The batch writes the rows of all symbols or portfolios. Between two batches a newly requested symbol, or a single
portfolio, gets its rows at once. Every step says how, so that onboarding cannot forget one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from closingbell.batch.inputs import StepInputs
from closingbell.batch.portfolios import ValuedPortfolios
from closingbell.batch.report import StepReport
from closingbell.market.bars import Bars
from closingbell.market.instruments import Instrument, Instruments
from closingbell.operations.jobs import JobType
from closingbell.providers.base import Answer
from closingbell.repositories.database import Connection, Database

Selects = Callable[[Instrument], bool]


@dataclass(frozen=True)
class FetchRequired:
    """Fetch and store rows without which a symbol cannot be followed: one that fails is refused.

    Parameters
    ----------
    selects : callable
        Whether the step applies to an instrument.
    fetch : callable
        Fetches the rows of the selected instruments, given the newest session that the batch has computed, and stores
        them in a transaction of its own. Returns the failed answers by symbol.
    """

    selects: Selects
    fetch: Callable[[Database, Instruments, date, StepInputs], Mapping[str, Answer[Bars]]]


@dataclass(frozen=True)
class FetchOptional:
    """Fetch and store rows without which a symbol can be followed, once all required rows are stored.

    Parameters
    ----------
    selects : callable
        Whether the step applies to an instrument, as it is known after the steps before.
    fetch : callable
        Like the `fetch` of `FetchRequired`, but returns the reasons of failure by symbol.
    """

    selects: Selects
    fetch: Callable[[Database, Instruments, date, StepInputs], Mapping[str, str]]


@dataclass(frozen=True)
class ComputeForSymbols:
    """Compute and write rows in the transaction in which symbols become active.

    Parameters
    ----------
    lock : str
        The lock under which the batch writes the same table.
    selects : callable
        Whether the step applies to an instrument.
    compute : callable
        Computes and writes the rows of the selected instruments on a session.
    """

    lock: str
    selects: Selects
    compute: Callable[[Connection, Instruments, date, StepInputs], object]


@dataclass(frozen=True)
class WriteForPortfolios:
    """Write the rows of single portfolios in the transaction that holds their locks.

    Parameters
    ----------
    write : callable
        Replaces the rows of valued portfolios.
    """

    write: Callable[[Connection, ValuedPortfolios], object]


OnboardingMethod = FetchRequired | FetchOptional | ComputeForSymbols | WriteForPortfolios


@dataclass(frozen=True)
class Step:
    """One step of the nightly batch.

    Parameters
    ----------
    name : str
        Also the name of its asset.
    job : JobType
        The batch that it belongs to; the combined batch has every step.
    table : str
        The main table that it writes.
    run : callable
        Brings the step's tables up to date for a range of sessions.
    onboarding : FetchRequired, FetchOptional, ComputeForSymbols or WriteForPortfolios
        How the same rows of new symbols, or of single portfolios, are written outside of the batch.
    reaches_latest : bool
        Whether the table has rows of every session, so that its newest one shows how far the plant is behind.
    """

    name: str
    job: JobType
    table: str
    run: Callable[[Database, Sequence[date], StepInputs], StepReport]
    onboarding: OnboardingMethod
    reaches_latest: bool = False

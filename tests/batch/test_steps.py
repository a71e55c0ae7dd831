"""The list of steps, and the rows that new symbols and single portfolios get from it."""

from __future__ import annotations

import pytest
from plant import LAST, hashes
from provider_contract import nyse
from sqlalchemy import text
from uploading import forget_symbol, onboard

from closingbell.batch import steps
from closingbell.batch.inputs import StepInputs
from closingbell.batch.onboarding import write_portfolios
from closingbell.batch.step import ComputeForSymbols, FetchOptional, FetchRequired, Step, WriteForPortfolios
from closingbell.batch.steps import STEPS, step_named, step_names, steps_of
from closingbell.market.instruments import Instruments, Kind
from closingbell.operations.jobs import JobType
from closingbell.providers.demo import DemoProvider
from closingbell.repositories import queue
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.queue import SymbolRequest


def test_every_symbol_step_is_onboarded_by_symbol_and_every_portfolio_step_by_portfolio() -> None:
    by_portfolio = {step.name for step in STEPS if isinstance(step.onboarding, WriteForPortfolios)}
    by_symbol = {
        step.name for step in STEPS if isinstance(step.onboarding, FetchRequired | FetchOptional | ComputeForSymbols)
    }
    assert by_portfolio == set(step_names(JobType.PORTFOLIO_REFRESH))
    assert by_symbol == set(step_names(JobType.SYMBOL_BATCH))


def test_the_combined_batch_has_every_step_and_other_jobs_have_none() -> None:
    assert steps_of(JobType.DAILY_BATCH) == STEPS
    assert steps_of(JobType.ADMIN_METRICS) == ()


def test_a_step_that_is_added_to_the_list_is_onboarded(
    computed: Database, demo: DemoProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[str]]] = []

    def compute(_connection: Connection, shares: Instruments, _session: object, _inputs: StepInputs) -> None:
        seen.append(("symbols", shares.symbols))

    def write(_connection: Connection, _valued: object) -> None:
        seen.append(("portfolios", []))

    model = step_named("symbol_metrics")
    for name, method in (
        ("by_symbol", ComputeForSymbols("by_symbol", lambda _: True, compute)),
        ("by_portfolio", WriteForPortfolios(write)),
    ):
        added = Step(name, model.job, model.table, model.run, method)
        monkeypatch.setattr(steps, "STEPS", (*steps.STEPS, added))
    forget_symbol(computed, "RRC")
    with computed.transaction() as connection:
        queue.request(connection, [SymbolRequest("RRC", Kind.EQUITY, LAST)])
    onboard(computed, demo)
    assert seen == [("symbols", ["RRC"])]
    with computed.transaction() as connection:
        key = connection.execute(text("SELECT min(id) FROM portfolios")).scalar_one()
    write_portfolios(computed, nyse(), [key])
    assert seen[1:] == [("portfolios", [])]


def test_single_portfolios_get_the_rows_of_the_batch(computed: Database) -> None:
    tables = {*(step.table for step in steps_of(JobType.PORTFOLIO_REFRESH)), "position_factor_exposures"}
    expected = hashes(computed, tables)
    with computed.transaction() as connection:
        keys = connection.execute(text("SELECT id FROM portfolios ORDER BY id DESC")).scalars().all()
        connection.execute(text("UPDATE portfolio_snapshots SET nav = 0, cash = 0"))
        connection.execute(text("DELETE FROM factor_exposures"))
        connection.execute(text("DELETE FROM position_factor_exposures"))
    for key in keys:
        write_portfolios(computed, nyse(), [key])
    assert hashes(computed, tables) == expected

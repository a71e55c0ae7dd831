"""Requested symbols: their queue, the run that onboards them, and the sensor that starts the run."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dagster as dg
import pytest
from plant import LAST, Tampered, copy_of, hashes, last_sessions, no_bars, run_batch
from plant_on_dagster import Plant, evaluate_sensor, plant_in
from provider_contract import nyse
from sqlalchemy import text
from uploading import SYMBOL_TABLES, csv_of, forget_symbol, onboard, rows_of, write_portfolios

from closingbell.accounts import OwnPortfolios, Upload
from closingbell.analytics.portfolios import PortfolioQueries
from closingbell.batch.factors import compute_factors
from closingbell.batch.metrics import compute_metrics
from closingbell.batch.onboarding import pending_work
from closingbell.batch.steps import step_names
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.ledger.entries import NewPosition
from closingbell.ledger.uploads import PortfolioForm, read_positions
from closingbell.market.bars import Bars
from closingbell.market.instruments import Kind
from closingbell.market.occ import parse_occ
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.providers.base import Answer, Outcome
from closingbell.providers.demo import DemoProvider
from closingbell.repositories import inspection, locks, queue, universe, usage
from closingbell.repositories.database import Database
from closingbell.repositories.queue import LeaseLostError, SymbolRequest
from definitions import defs

NEEDED = date(2022, 12, 20)
TODAY = date(2026, 11, 24)
CONTRACT = "MSFT230616C00250000"


def request(database: Database, *symbols: str) -> None:
    """Request symbols as an upload does."""
    with database.transaction() as connection:
        queue.request(connection, [SymbolRequest(symbol, Kind.EQUITY, NEEDED, parse_occ(symbol)) for symbol in symbols])


def state(database: Database, symbol: str) -> tuple[str, int, str | None]:
    """Return status, attempts and last error of a symbol."""
    query = "SELECT status, attempts, last_error FROM symbol_universe WHERE symbol = :symbol"
    with database.transaction() as connection:
        row = connection.execute(text(query), {"symbol": symbol}).one()
    return row.status, row.attempts, row.last_error


def claim(database: Database, run_id: str, most: int = 50) -> list[str]:
    """Lease the requests that are due; return their symbols."""
    with database.transaction() as connection:
        return universe.by_id(connection, queue.claim(connection, run_id, most)).symbols


def make_due(database: Database) -> None:
    """Make every request due that waits for its next attempt."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE symbol_universe SET next_attempt_at = now() WHERE next_attempt_at > now()"))


def upload_symbols(database: Database, account: str, *symbols: str) -> int:
    """Upload a portfolio of some symbols; return its key."""
    form = PortfolioForm("Mine", account, "taxable", Decimal(100_000), inception=None)
    positions = read_positions(csv_of(symbols).encode(), today=TODAY)
    upload = Upload(form, positions, f"sha of {account}")
    return OwnPortfolios(database, nyse(), "local").upload(upload, today=TODAY, latest=LAST).portfolio_id


def progress(database: Database, portfolio_id: int) -> str:
    return PortfolioQueries(database, nyse(), "local").progress(portfolio_id, Mode.INSTANT).status


# ---------------------------------------------------------------- the queue


def test_simultaneous_requests_for_a_symbol_make_one_request(computed: Database) -> None:
    names = [f"NEW{number}" for number in range(30)] + ["NEW1230616C00025000", "AAPL"]

    def request_shuffled(seed: int) -> None:
        chosen = names.copy()
        random.Random(seed).shuffle(chosen)
        request(computed, *chosen)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(request_shuffled, range(48)))
    with computed.transaction() as connection:
        counts = connection.execute(text("SELECT count(*), count(DISTINCT symbol) FROM symbol_universe")).one()
        assert tuple(counts) == (34 + 31, 34 + 31)
        assert queue.waiting(connection).due == 31  # AAPL is known already


def test_a_request_is_leased_to_one_run_only(computed: Database) -> None:
    request(computed, *(f"NEW{number}" for number in range(40)))
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda number: claim(computed, f"run{number}", 10), range(8)))
    symbols = [symbol for batch in claimed for symbol in batch]
    assert sorted(symbols) == sorted(f"NEW{number}" for number in range(40))
    assert claim(computed, "late") == []


def test_a_failed_attempt_is_retried_after_a_pause_and_the_third_is_the_last(computed: Database) -> None:
    request(computed, "NEW")
    for attempt in (1, 2, 3):
        assert claim(computed, "run") == ["NEW"]
        with computed.transaction() as connection:
            key = universe.identify(connection, ["NEW"])["NEW"]
            queue.refuse(connection, "run", {key: queue.Refusal("unavailable: down", final=False)})
        assert state(computed, "NEW") == ("failed" if attempt == 3 else "pending", attempt, "unavailable: down")
        assert claim(computed, "run") == []  # not yet
        make_due(computed)
    assert claim(computed, "run") == []


def test_a_lease_is_released_once_it_has_expired_or_its_run_has_died(computed: Database) -> None:
    request(computed, "ALIVE", "DEAD", "EXPIRED")
    with computed.lease(locks.run("living")):
        assert claim(computed, "living", 1) == ["ALIVE"]
        assert claim(computed, "dead", 1) == ["DEAD"]
        assert claim(computed, "living", 1) == ["EXPIRED"]
        with computed.transaction() as connection:
            expire = "UPDATE symbol_universe SET lease_until = now() - interval '1 s' WHERE symbol = 'EXPIRED'"
            connection.execute(text(expire))
        with computed.session() as connection:
            waiting, _ = pending_work(computed, connection)
    assert (waiting.due, waiting.open) == (2, 3)
    assert state(computed, "ALIVE")[0] == "processing"
    assert state(computed, "DEAD") == ("pending", 1, "the process of the run has died")


def test_a_symbol_that_kills_its_run_fails_after_three_attempts(computed: Database) -> None:
    request(computed, "KILLER")
    for attempt in range(3):
        assert claim(computed, f"dead{attempt}") == ["KILLER"]
        with computed.session() as connection:
            pending_work(computed, connection)
    assert state(computed, "KILLER") == ("failed", 3, "the process of the run has died")


def test_a_run_that_has_lost_its_lease_writes_no_more_rows(computed: Database, demo: DemoProvider) -> None:
    forget_symbol(computed, "RRC")
    request(computed, "RRC")

    def lease_elsewhere(answer: Answer[Bars], _start: date, _end: date) -> Answer[Bars]:
        with computed.transaction() as connection:
            connection.execute(text("UPDATE symbol_universe SET leased_by = 'another run' WHERE symbol = 'RRC'"))
        return answer

    with pytest.raises(LeaseLostError):
        onboard(computed, Tampered(demo, {"RRC": lease_elsewhere}))
    assert state(computed, "RRC")[0] == "processing"
    assert rows_of(computed, "RRC")["symbol_factor_exposures"] == []


def test_a_failed_symbol_is_retried_when_it_is_requested_much_later(computed: Database, demo: DemoProvider) -> None:
    request(computed, "NOPE")
    onboard(computed, demo)
    assert state(computed, "NOPE")[0] == "failed"
    request(computed, "NOPE")
    assert state(computed, "NOPE")[0] == "failed"  # it has only just failed
    with computed.transaction() as connection:
        connection.execute(text("UPDATE symbol_universe SET settled_at = now() - interval '2 hours'"))
    request(computed, "NOPE")
    assert state(computed, "NOPE")[0] == "pending"


# ---------------------------------------------------------------- the run


def test_onboarding_a_symbol_writes_the_rows_of_the_batch(computed: Database, demo: DemoProvider) -> None:
    expected = {symbol: rows_of(computed, symbol) for symbol in ("RRC", "QUAL")}
    for symbol in expected:
        forget_symbol(computed, symbol)
    request(computed, *expected)
    result = onboard(computed, demo)
    assert {outcome.symbol: outcome.done for outcome in result.symbols} == {"RRC": True, "QUAL": True}
    assert {symbol: rows_of(computed, symbol) for symbol in expected} == expected
    with computed.transaction() as connection:
        kinds = {item.symbol: item.kind for item in universe.by_symbol(connection, list(expected))}
    # QUAL was requested as if it were a stock.
    assert kinds == {"RRC": Kind.EQUITY, "QUAL": Kind.ETF}
    # The next batch changes nothing either.
    before = hashes(computed, SYMBOL_TABLES)
    compute_factors(computed, [LAST], calendar=nyse())
    compute_metrics(computed, [LAST], calendar=nyse())
    assert hashes(computed, SYMBOL_TABLES) == before


def test_a_new_symbol_needs_factors_from_the_session_on_which_it_is_followed_and_not_before(
    computed: Database, demo: DemoProvider
) -> None:
    forget_symbol(computed, "RRC")
    request(computed, "RRC")
    onboard(computed, demo)
    with computed.transaction() as connection:
        assert inspection.missing_factors(connection, last_sessions(3)) == []
        connection.execute(text("DELETE FROM symbol_factor_exposures WHERE session = :day"), {"day": LAST})
        connection.execute(text("UPDATE symbol_universe SET followed_from = NULL"))
        assert [finding.subject for finding in inspection.missing_factors(connection, last_sessions(3))] == ["RRC"]


def test_thirty_two_portfolios_that_share_new_symbols_are_complete_after_one_run(
    computed: Database, demo: DemoProvider
) -> None:
    shared = ("RRC", "BBY", "GE", "PFE", "AMD")
    for symbol in shared:
        forget_symbol(computed, symbol)
    fetched: list[str] = []

    class Counting(Tampered):
        def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Any:
            fetched.extend(symbols)
            return super().daily_bars(symbols, start, end)

    def upload_one(number: int) -> int:
        return upload_symbols(computed, f"account {number}", "AAPL", *random.Random(number).sample(shared, 3))

    with ThreadPoolExecutor(32) as pool:
        keys = list(pool.map(upload_one, range(32)))
    assert {progress(computed, key) for key in keys} == {"pending"}
    result = onboard(computed, Counting(demo, {}))
    assert sorted(fetched) == sorted(shared)
    assert set(keys) <= set(result.portfolios)
    assert {progress(computed, key) for key in keys} == {"completed"}
    before = hashes(computed, ["portfolio_snapshots", "factor_exposures"])
    write_portfolios(computed)
    assert hashes(computed, ["portfolio_snapshots", "factor_exposures"]) == before


def test_a_symbol_without_answers_fails_after_three_attempts_and_does_not_affect_others(
    computed: Database, demo: DemoProvider
) -> None:
    forget_symbol(computed, "RRC")
    down = Tampered(demo, {"SILENT": lambda *_: Answer(Outcome.UNAVAILABLE, reason="it is down")})
    key = upload_symbols(computed, "mine", "AAPL", "RRC", "SILENT")
    for attempt in (1, 2, 3):
        onboard(computed, down, f"run {attempt}")
        assert state(computed, "RRC")[0] == "active"
        assert progress(computed, key) == ("partial" if attempt == 3 else "pending")
        make_due(computed)
    assert down.requested.count(("SILENT", *down.requested[0][1:])) == 3
    assert state(computed, "SILENT") == ("failed", 3, "unavailable: it is down")


def test_a_symbol_that_raises_an_error_fails_and_does_not_affect_others(computed: Database, demo: DemoProvider) -> None:
    forget_symbol(computed, "RRC")

    def broken(*_: object) -> Answer[Bars]:
        raise ZeroDivisionError("a defect")

    request(computed, "BROKEN", "RRC")
    result = onboard(computed, Tampered(demo, {"BROKEN": broken}))
    assert result.failed == {"BROKEN": "error: a defect"}
    assert state(computed, "RRC")[0] == "active"
    assert state(computed, "BROKEN")[0] == "pending"


def test_a_symbol_without_a_single_price_fails_as_unknown(computed: Database, demo: DemoProvider) -> None:
    request(computed, "BARE")
    onboard(computed, Tampered(demo, {"BARE": lambda *_: Answer.ok(no_bars())}))
    assert state(computed, "BARE")[::2] == ("failed", "empty: no price since 2021-12-21")


def test_a_run_onboards_fifty_symbols_and_leaves_the_rest_to_the_next(computed: Database, demo: DemoProvider) -> None:
    request(computed, *(f"NEW{number}" for number in range(60)))
    assert len(onboard(computed, demo).symbols) == 50
    assert len(onboard(computed, demo).symbols) == 10


def test_an_upload_is_valued_on_an_install_whose_batch_has_never_run(seeded: Database, demo: DemoProvider) -> None:
    key = upload_symbols(seeded, "mine", "AAPL", "KO")
    assert progress(seeded, key) == "pending"
    onboard(seeded, demo)
    assert progress(seeded, key) == "completed"


def test_an_active_symbol_whose_history_is_extended_is_pending_until_the_run_ends(
    computed: Database, demo: DemoProvider
) -> None:
    form = PortfolioForm("Mine", "early", "taxable", Decimal(100_000), inception=date(2020, 3, 2))
    lot = NewPosition("AAPL", Decimal(10), Decimal(100), date(2020, 1, 2), "PUBLIC", None)
    upload = Upload(form, [lot], "sha of early")
    key = OwnPortfolios(computed, nyse(), "local").upload(upload, today=TODAY, latest=LAST).portfolio_id
    seen = []

    class Watched(Tampered):
        def profiles(self, symbols: Sequence[str]) -> Any:
            seen.append(progress(computed, key))  # the prices are stored already
            return super().profiles(symbols)

    onboard(computed, Watched(demo, {}))
    assert seen == ["running"]
    assert progress(computed, key) == "completed"


def test_the_next_run_writes_a_portfolio_that_was_left_stale(computed: Database, demo: DemoProvider) -> None:
    key = upload_symbols(computed, "mine", "AAPL")
    with computed.transaction() as connection:
        # As if the API had died between its commit and the snapshot.
        connection.execute(text("DELETE FROM portfolio_snapshots WHERE portfolio_id = :key"), {"key": key})
        connection.execute(
            text("UPDATE portfolios SET stale_since = now() - interval '1 minute' WHERE id = :key"), {"key": key}
        )
    assert progress(computed, key) == "running"
    assert onboard(computed, demo).portfolios == [key]
    assert progress(computed, key) == "completed"


# ---------------------------------------------------------------- during the batch


@contextmanager
def onboarding_meanwhile(database: Database, demo: DemoProvider, symbols: Sequence[str]) -> Iterator[None]:
    """Request and onboard one symbol after the other while the block works; all are active at its end."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for number, symbol in enumerate(symbols):
                request(database, symbol)
                onboard(database, demo, f"meanwhile {number}")
                sleep(0.05)
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive(), "a deadlock"
    assert failures == []


NEWCOMERS = ("RRC", "BBY", "GE", "PFE", "MRK", "AMD")


@pytest.mark.parametrize("seed", range(3))
def test_onboarding_during_the_nightly_batch_leaves_the_same_rows(
    seeded: Database, computed: Database, demo: DemoProvider, seed: int
) -> None:
    before, tonight = last_sessions(2)
    for symbol in NEWCOMERS:
        forget_symbol_without_rows(seeded, symbol)
    run_batch(seeded, demo, [before])
    symbols = random.Random(seed).sample(NEWCOMERS, len(NEWCOMERS))
    with onboarding_meanwhile(seeded, demo, symbols):
        sleep(0.1 * seed)
        run_batch(seeded, demo, [tonight])
    assert {symbol: rows_of(seeded, symbol) for symbol in NEWCOMERS} == {
        symbol: rows_of(computed, symbol) for symbol in NEWCOMERS
    }


def test_onboarding_during_a_backfill_leaves_only_rows_of_an_undisturbed_backfill(
    seeded: Database, server: EmbeddedPostgres, computed_template: str, demo: DemoProvider
) -> None:
    old = nyse().sessions(date(2022, 3, 1), date(2022, 4, 29))
    undisturbed = copy_of(server, computed_template)
    run_batch(undisturbed, demo, old)
    for symbol in NEWCOMERS:
        forget_symbol_without_rows(seeded, symbol)
    run_batch(seeded, demo, [LAST])
    with onboarding_meanwhile(seeded, demo, NEWCOMERS):
        run_batch(seeded, demo, old)
    query = """
        SELECT u.symbol, t.session, t.factor_id, t.beta, t.std_error, t.observations
        FROM symbol_factor_exposures t JOIN symbol_universe u ON u.id = t.symbol_id WHERE session <= '2022-04-29'
    """
    with seeded.transaction() as ours, undisturbed.transaction() as theirs:
        written = {tuple(row) for row in ours.execute(text(query))}
        right = {tuple(row) for row in theirs.execute(text(query))}
    assert written <= right
    assert {row for row in right if row[0] not in NEWCOMERS} <= written
    assert {symbol: rows_of(seeded, symbol) for symbol in NEWCOMERS} == {
        symbol: rows_of(undisturbed, symbol) for symbol in NEWCOMERS
    }


def forget_symbol_without_rows(database: Database, symbol: str) -> None:
    """Delete a symbol without rows, and the options on it, from the universe and the portfolios."""
    with database.transaction() as connection:
        for statement in (
            "DELETE FROM positions WHERE symbol LIKE :symbol || '%'",
            "DELETE FROM symbol_universe WHERE symbol LIKE :symbol || '2%' OR symbol = :symbol",
        ):
            connection.execute(text(statement), {"symbol": symbol})


# ---------------------------------------------------------------- the sensor and its job


@pytest.fixture
def computed_plant(computed: Database, tmp_path: Path) -> Iterator[Plant]:
    """An install whose last sessions are computed."""
    with plant_in(tmp_path, computed) as plant:
        yield plant


def sense(plant: Plant) -> tuple[int, str, float]:
    """Evaluate the sensor; return how many runs it requests, why it requests none, and the seconds it took."""
    began = monotonic()
    requests, reason, _ = evaluate_sensor(plant, "new_symbols")
    return len(requests), reason, monotonic() - began


def run_job(plant: Plant) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("symbol_onboarding").execute_in_process(instance=plant.instance, raise_on_error=False)


def test_the_sensor_waits_a_few_seconds_and_requests_no_run_when_no_symbol_is_requested(computed_plant: Plant) -> None:
    runs, reason, seconds = sense(computed_plant)
    assert (runs, reason) == (0, "no symbol is requested")
    assert 5 < seconds < 10


def test_the_sensor_notices_a_request_while_it_waits(computed_plant: Plant) -> None:
    timer = threading.Timer(1.5, request, (computed_plant.database, "NEW"))
    timer.start()
    runs, _, seconds = sense(computed_plant)
    timer.join()
    assert runs == 1
    assert seconds < 4


def test_the_sensor_requests_no_second_run_while_one_is_underway(computed_plant: Plant) -> None:
    request(computed_plant.database, "NEW")
    run = computed_plant.instance.create_run_for_job(
        defs.resolve_job_def("symbol_onboarding"), status=dg.DagsterRunStatus.STARTED
    )
    runs, reason, _ = sense(computed_plant)
    assert (runs, reason) == (0, f"run {run.run_id} is active")
    computed_plant.instance.report_run_failed(run, "died")
    # The symbols of a failed run are onboarded by the next one.
    assert sense(computed_plant)[0] == 1


def test_portfolios_that_cannot_be_written_do_not_start_one_run_after_the_other(computed_plant: Plant) -> None:
    with computed_plant.database.transaction() as connection:
        connection.execute(text("UPDATE portfolios SET stale_since = now() - interval '1 minute' WHERE id = 1"))
    assert sense(computed_plant)[0] == 1
    run = computed_plant.instance.create_run_for_job(defs.resolve_job_def("symbol_onboarding"))
    computed_plant.instance.report_run_failed(run, "a defect")
    assert sense(computed_plant)[:2] == (0, "the last run has just failed")


def test_the_job_observes_each_symbol_and_materializes_no_partition(computed_plant: Plant) -> None:
    forget_symbol(computed_plant.database, "RRC")
    request(computed_plant.database, "RRC", "NOPE", CONTRACT)
    assert run_job(computed_plant).success
    seen = {}
    for asset in ("prices", "option_prices"):
        for record in computed_plant.instance.fetch_observations(dg.AssetKey(asset), limit=10).records:
            observation = record.asset_observation
            assert observation is not None
            seen[str(observation.metadata["symbol"].value)] = (asset, observation.metadata["active"].value)
    assert seen == {
        "RRC": ("prices", True),
        "NOPE": ("prices", False),
        CONTRACT: ("option_prices", True),
    }
    assert computed_plant.instance.get_materialized_partitions(dg.AssetKey("prices")) == set()
    job, _, status, reasons = computed_plant.run_records()[0]
    assert (job, status) == (JobType.SYMBOL_ONBOARDING, "completed_with_warnings")
    assert reasons == ["not_found: the demo data has no symbol NOPE"]


def test_the_log_has_a_line_for_every_step_of_onboarding(
    computed_plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    forget_symbol(computed_plant.database, "RRC")
    upload_symbols(computed_plant.database, "mine", "RRC")
    request(computed_plant.database, CONTRACT)
    with caplog.at_level("INFO", logger="closingbell"):
        onboard(computed_plant.database, DemoProvider())
    lines = [line for line in caplog.text.splitlines() if "V2_ONBOARDING" in line]
    for step in step_names(JobType.SYMBOL_BATCH):
        named = f"symbol={CONTRACT}" if step == "option_prices" else "symbol=RRC"
        assert any(f"step={step} status=completed" in line and named in line for line in lines), step
    assert any("step=activation status=completed" in line and "symbol=RRC" in line for line in lines)
    assert any("step=portfolios" in line and "portfolio_id=4" in line and "duration_ms=" in line for line in lines)


def test_a_request_is_counted_in_the_metrics_of_its_day(computed: Database, demo: DemoProvider) -> None:
    forget_symbol(computed, "RRC")
    request(computed, "RRC", "NOPE")
    onboard(computed, demo)
    query = "SELECT name, value FROM daily_metrics WHERE name LIKE 'onboarding%'"
    with computed.transaction() as connection:
        day = connection.execute(text("SELECT (now() AT TIME ZONE 'America/New_York')::date")).scalar_one()
        usage.collect_metrics(connection, day)
        figures = {row.name: row.value for row in connection.execute(text(query))}
    assert (figures["onboarding_completed"], figures["onboarding_failed"]) == (1, 1)
    assert 0 < figures["onboarding_p50_ms"] < 60_000

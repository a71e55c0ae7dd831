"""The batch on a real database: the same rows in any order of sessions, whatever bad symbols there are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from plant import LAST, TABLES, BarsAnswer, Tampered, copy_of, hashes, last_sessions, rows, run_batch, take
from provider_contract import nyse, value
from sqlalchemy import text

from closingbell.batch.factors import compute_factors
from closingbell.batch.portfolios import compute_exposures, compute_snapshots
from closingbell.batch.prices import refresh_prices
from closingbell.calculations.factor_definitions import FACTORS
from closingbell.errors import BatchError, ClosingBellError
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.market.bars import ActionKind, CorporateAction
from closingbell.market.instruments import Kind
from closingbell.providers.base import Answer, Outcome, Profile, Statements
from closingbell.providers.demo import DEMO_STOCKS, DemoProvider
from closingbell.repositories import inspection, universe
from closingbell.repositories.database import Database

SHORT = last_sessions(25)


def add_symbols(database: Database, *symbols: str) -> None:
    with database.transaction() as connection:
        universe.add_instruments(connection, [(symbol, Kind.EQUITY) for symbol in symbols], status="active")


# ---------------------------------------------------------------- idempotence


@pytest.fixture(scope="module")
def year_in_order(
    server: EmbeddedPostgres, seeded_template: str, demo: DemoProvider
) -> tuple[Database, dict[str, str]]:
    """A year computed a quarter at a time, oldest first, and its digests."""
    database = copy_of(server, seeded_template)
    sessions = last_sessions(252)
    for start in range(0, 252, 63):
        run_batch(database, demo, sessions[start : start + 63])
    return database, hashes(database)


def test_a_year_fills_every_table_of_the_batch(year_in_order: tuple[Database, dict[str, str]]) -> None:
    with year_in_order[0].transaction() as connection:
        counts = inspection.row_counts(connection)
    sessions, symbols, portfolios = 252, 28, 3
    assert counts["symbol_factor_exposures"] == sessions * symbols * len(FACTORS)
    assert counts["symbol_daily_metrics"] == sessions * symbols
    assert counts["portfolio_snapshots"] == sessions * portfolios
    assert counts["factor_exposures"] == sessions * portfolios * len(FACTORS)
    empty = {table for table, count in counts.items() if not count}
    # The demo's closes are adjusted already, so it has no corporate actions; only Dagster's runs write run records.
    records = {"api_requests", "daily_metrics", "symbol_aliases", "symbol_corrections", "uploads"}
    assert empty - records == {"batch_run_history", "corporate_actions", "refused_bars"}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_size_of_ranges_gives_the_same_rows(
    seeded: Database, demo: DemoProvider, year_in_order: tuple[Database, dict[str, str]], seed: int
) -> None:
    shuffled = random.Random(seed)
    sessions = last_sessions(252)
    cuts = [0, *sorted(shuffled.sample(range(1, 252), 5)), 252]
    spans = [sessions[start:stop] for start, stop in pairwise(cuts)]
    shuffled.shuffle(spans)
    for span in spans:
        run_batch(seeded, demo, span)
    assert hashes(seeded) == year_in_order[1]


def test_repeating_partitions_leaves_every_table_unchanged(
    demo: DemoProvider, year_in_order: tuple[Database, dict[str, str]]
) -> None:
    database, before = year_in_order
    sessions = last_sessions(252)
    for span in (sessions[100:101], sessions[-1:], sessions[40:90]):
        run_batch(database, demo, span)
    assert hashes(database) == before


def test_two_simultaneous_runs_of_the_same_partitions_leave_the_rows_of_one_run(
    seeded: Database, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    alone = copy_of(server, seeded_template)
    run_batch(alone, demo, SHORT)
    with ThreadPoolExecutor(2) as pool:
        for attempt in [pool.submit(run_batch, seeded, demo, SHORT) for _ in range(2)]:
            attempt.result()
    assert hashes(seeded) == hashes(alone)


def test_a_run_waits_while_another_writes_the_same_table(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, SHORT)
    with ThreadPoolExecutor(1) as pool:
        with seeded.transaction(lock="symbol_factors"):
            second = pool.submit(compute_factors, seeded, SHORT, calendar=nyse())
            with pytest.raises(TimeoutError):
                second.result(timeout=1)
        assert second.result(timeout=30).rows == len(SHORT) * 28 * len(FACTORS)


# ---------------------------------------------------------------- bad symbols


def garbage(answer: BarsAnswer, _start: date, _end: date) -> BarsAnswer:
    """Return bars that cannot be true: negative, infinite and missing closes, and highs below the lows."""
    bars = value(answer)
    close = bars.close.copy()
    close[::4], close[1::4], close[2::4] = -1.0, np.inf, np.nan
    high = bars.low - 1
    return Answer.ok(replace(bars, close=close, high=high))


def three_bars(answer: BarsAnswer, _start: date, end: date) -> BarsAnswer:
    """Return the last three bars only, like those of a company that went public this week."""
    bars = value(answer)
    since = nyse().offset(LAST, -2)
    kept = take(bars, bars.sessions >= np.datetime64(since))
    return Answer.ok(kept) if end >= since else Answer(Outcome.EMPTY, reason="no bars in this range")


def delisted(answer: BarsAnswer, _start: date, _end: date) -> BarsAnswer:
    """Return the bars up to the twelfth session only."""
    bars = value(answer)
    return Answer.ok(take(bars, bars.sessions <= np.datetime64(SHORT[11])))


BAD = {"GARBAGE": garbage, "NEWCOMER": three_bars, "GONE": delisted}


class WithBadSymbols(Tampered):
    """A provider that answers about the bad symbols with tampered bars of a good one."""

    def daily_bars(self, symbols: Sequence[str], start: date, end: date) -> Mapping[str, BarsAnswer]:
        answers = dict(self._provider.daily_bars([s for s in symbols if s not in BAD], start, end))
        model = self._provider.daily_bars(["AAPL"], start, end)["AAPL"]
        return {s: BAD[s](model, start, end) if s in BAD else answers[s] for s in symbols}

    def profiles(self, symbols: Sequence[str]) -> Mapping[str, Answer[Profile]]:
        return {
            s: Answer(Outcome.NOT_FOUND, reason="unknown symbol") if s in BAD else self._provider.profiles([s])[s]
            for s in symbols
        }

    def statements(self, symbols: Sequence[str]) -> Mapping[str, Answer[Statements]]:
        return {
            s: Answer(Outcome.EMPTY, reason="none") if s in BAD else self._provider.statements([s])[s] for s in symbols
        }


OTHERS = """
    SELECT u.symbol, t.* FROM {table} t JOIN symbol_universe u ON u.id = t.symbol_id
    WHERE u.symbol <> ALL(:bad) ORDER BY t.*
"""


def test_bad_symbols_are_reported_and_do_not_change_the_rows_of_others(
    seeded: Database, demo: DemoProvider, server: EmbeddedPostgres, seeded_template: str
) -> None:
    clean = copy_of(server, seeded_template)
    run_batch(clean, demo, SHORT)
    add_symbols(seeded, *BAD)
    reports = run_batch(seeded, WithBadSymbols(demo, {}), SHORT)

    assert set(reports["prices"].failed) == {"GARBAGE"}
    assert "refused: the close is not positive" in reports["prices"].failed["GARBAGE"]
    assert reports["prices"].warnings["GONE"] == (
        f"no bar on {len(SHORT) - 12} of {len(SHORT)} sessions, from {SHORT[12]} to {SHORT[-1]}"
    )
    assert "no bar on 22 of 25" in reports["prices"].warnings["NEWCOMER"]
    assert set(reports["symbol_factors"].warnings) >= {"GARBAGE", "NEWCOMER"}
    assert "2 of at least 30 observations" in reports["symbol_factors"].warnings["NEWCOMER"]
    assert set(reports["symbol_metrics"].warnings) == {"GARBAGE", "GONE"}
    assert set(reports["company_profiles"].failed) == set(BAD)

    for table in ("market_data_cache", "symbol_factor_exposures", "symbol_daily_metrics"):
        query = OTHERS.format(table=table)
        assert rows(seeded, query, bad=list(BAD)) == rows(clean, query, bad=list(BAD)), table
    untouched = ("portfolio_snapshots", "factor_exposures", "position_factor_exposures")
    assert hashes(seeded, untouched) == hashes(clean, untouched)


def test_refused_bars_are_stored_with_their_reason(seeded: Database, demo: DemoProvider) -> None:
    add_symbols(seeded, *BAD)
    run_batch(seeded, WithBadSymbols(demo, {}), SHORT)
    refused = rows(
        seeded,
        "SELECT DISTINCT u.symbol, r.reason FROM refused_bars r JOIN symbol_universe u ON u.id = r.symbol_id",
    )
    assert {symbol for symbol, _ in refused} == {"GARBAGE"}
    assert {reason for _, reason in refused} == {
        "the close is missing or not a number",
        "the close is not positive",
        "the high is below the low",
    }


def test_a_symbol_with_little_history_has_flagged_rows_without_beta(seeded: Database, demo: DemoProvider) -> None:
    add_symbols(seeded, *BAD)
    run_batch(seeded, WithBadSymbols(demo, {}), SHORT)
    flags = rows(
        seeded,
        """SELECT DISTINCT f.quality_flag::text, f.beta IS NULL FROM symbol_factor_exposures f
           JOIN symbol_universe u ON u.id = f.symbol_id WHERE u.symbol = 'NEWCOMER' AND f.session = :last""",
        last=LAST,
    )
    assert flags == [("insufficient_history", True)]


def failing(outcome: Outcome) -> Tampered:
    """Return a provider that fails for every stock of the demo."""

    def fail(_answer: BarsAnswer, _start: date, _end: date) -> BarsAnswer:
        return Answer(outcome, reason="try again later")

    return Tampered(DemoProvider(), dict.fromkeys(DEMO_STOCKS, fail))


@pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.UNAVAILABLE, Outcome.EMPTY])
def test_when_most_symbols_fail_the_step_fails_and_the_stored_rows_stay(
    seeded: Database, demo: DemoProvider, outcome: Outcome
) -> None:
    run_batch(seeded, demo, SHORT)
    before = hashes(seeded, ["market_data_cache"])
    with pytest.raises(BatchError, match=r"20 of 28 items failed, for example AAPL: .*try again later"):
        refresh_prices(seeded, SHORT[-3:], provider=failing(outcome), calendar=nyse())
    assert hashes(seeded, ["market_data_cache"]) == before


def test_a_symbol_that_fails_keeps_its_rows_of_the_night_before(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, SHORT)
    before = hashes(seeded, ["market_data_cache"])

    def fail(_answer: BarsAnswer, _start: date, _end: date) -> BarsAnswer:
        return Answer(Outcome.MALFORMED, reason="not JSON")

    provider = Tampered(demo, {"AAPL": fail})
    report = refresh_prices(seeded, SHORT[-2:], provider=provider, calendar=nyse())
    assert report.failed == {"AAPL": "malformed: not JSON"}
    assert [symbol for symbol, _, _ in provider.requested].count("AAPL") == 1  # one attempt a night
    assert hashes(seeded, ["market_data_cache"]) == before


def test_a_bad_symbol_that_is_the_only_one_due_does_not_fail_the_step(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, [LAST])
    add_symbols(seeded, "GARBAGE")
    report = run_batch(seeded, WithBadSymbols(demo, {}), [LAST])["fundamentals"]
    assert (report.items, report.failed) == (1, {"GARBAGE": "empty: none"})


def test_rows_of_a_day_that_is_no_session_do_not_stop_the_batch(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, SHORT)
    with seeded.transaction() as connection:
        connection.execute(text("UPDATE market_data_cache SET session = '2022-12-24' WHERE session = '2022-12-23'"))
    assert compute_factors(seeded, SHORT, calendar=nyse()).rows == len(SHORT) * 28 * len(FACTORS)


# ---------------------------------------------------------------- history and restatements


def test_once_the_history_is_stored_only_a_few_sessions_are_fetched_again(seeded: Database, demo: DemoProvider) -> None:
    provider = Tampered(demo, {})
    refresh_prices(seeded, SHORT[:20], provider=provider, calendar=nyse())
    assert {start for _, start, _ in provider.requested} == {nyse().offset(SHORT[0], -256)}
    provider.requested.clear()
    refresh_prices(seeded, SHORT[20:21], provider=provider, calendar=nyse())
    assert {(start, end) for _, start, end in provider.requested} == {(SHORT[15], SHORT[20])}


def split_on(ex_date: date, ratio: int) -> Tampered:
    """Return a provider that knows of a split: its closes before the split are as traded, so higher."""

    def split(answer: BarsAnswer, start: date, end: date) -> BarsAnswer:
        bars = answer.value
        assert bars is not None
        scale = np.where(bars.sessions < np.datetime64(ex_date), float(ratio), 1.0)
        actions = (CorporateAction(ex_date, ActionKind.SPLIT, Decimal(ratio)),) if start <= ex_date <= end else ()
        return Answer.ok(
            replace(
                bars,
                open=bars.open * scale,
                high=bars.high * scale,
                low=bars.low * scale,
                close=bars.close * scale,
                actions=actions,
            )
        )

    return Tampered(DemoProvider(), {"AAPL": split})


AAPL = """
    SELECT m.session, m.close, m.adj_close FROM market_data_cache m JOIN symbol_universe u ON u.id = m.symbol_id
    WHERE u.symbol = 'AAPL' ORDER BY m.session
"""


def test_a_split_leaves_closes_as_traded_and_adjusts_the_entire_series(seeded: Database, demo: DemoProvider) -> None:
    ex_date = SHORT[20]
    refresh_prices(seeded, SHORT[:20], provider=split_on(ex_date, 4), calendar=nyse())
    before = {session: close for session, close, _ in rows(seeded, AAPL)}
    report = refresh_prices(seeded, SHORT[20:], provider=split_on(ex_date, 4), calendar=nyse())
    after = rows(seeded, AAPL)
    assert {session: close for session, close, _ in after if session < ex_date} == before
    true = value(demo.daily_bars(["AAPL"], after[0][0], LAST)["AAPL"])
    np.testing.assert_allclose([adjusted for _, _, adjusted in after], true.close, rtol=1e-8)
    assert report.notes["revised"] == f"AAPL since {ex_date}"


def test_a_restated_history_is_fetched_again_in_full(seeded: Database, demo: DemoProvider) -> None:
    refresh_prices(seeded, SHORT[:24], provider=demo, calendar=nyse())

    def doubled(answer: BarsAnswer, _start: date, _end: date) -> BarsAnswer:
        bars = answer.value
        assert bars is not None
        return Answer.ok(replace(bars, open=bars.open * 2, high=bars.high * 2, low=bars.low * 2, close=bars.close * 2))

    provider = Tampered(demo, {"AAPL": doubled})
    report = refresh_prices(seeded, SHORT[24:], provider=provider, calendar=nyse())
    history = nyse().offset(SHORT[0], -256)
    true = value(demo.daily_bars(["AAPL"], history, LAST)["AAPL"])
    np.testing.assert_allclose([float(close) for _, close, _ in rows(seeded, AAPL)], true.close * 2, rtol=1e-6)
    assert report.notes["backfill_again"] == f"{SHORT[19]} to {LAST - timedelta(days=1)}"
    assert [request for request in provider.requested if request[0] == "AAPL"][-1] == ("AAPL", history, LAST)


def test_a_restated_history_that_cannot_be_fetched_in_full_changes_nothing(
    seeded: Database, demo: DemoProvider
) -> None:
    refresh_prices(seeded, SHORT[:24], provider=demo, calendar=nyse())
    before = rows(seeded, AAPL)

    def half(answer: BarsAnswer, start: date, _end: date) -> BarsAnswer:
        bars = answer.value
        assert bars is not None
        if start < SHORT[0]:
            return Answer(Outcome.UNAVAILABLE, reason="timeout")
        return Answer.ok(replace(bars, high=bars.high * 2, close=bars.close * 2))

    report = refresh_prices(seeded, SHORT[24:], provider=Tampered(demo, {"AAPL": half}), calendar=nyse())
    assert report.failed == {"AAPL": "unavailable: timeout"}
    assert "revised" not in report.notes
    assert rows(seeded, AAPL) == before
    # The range that was not fetched is not recorded as known, so the next night fetches it.
    known = rows(seeded, "SELECT history_to FROM symbol_universe WHERE symbol = 'AAPL'")
    assert known == [(SHORT[23],)]


# ---------------------------------------------------------------- the order of steps


def test_snapshots_are_refused_while_the_symbol_batch_is_missing(seeded: Database, demo: DemoProvider) -> None:
    refresh_prices(seeded, SHORT, provider=demo, calendar=nyse())
    with pytest.raises(BatchError, match="symbol batch has not been computed for 25 of 25 sessions"):
        compute_snapshots(seeded, SHORT, calendar=nyse())


def test_exposures_are_refused_while_the_snapshots_are_missing_or_old(seeded: Database, demo: DemoProvider) -> None:
    refresh_prices(seeded, SHORT, provider=demo, calendar=nyse())
    compute_factors(seeded, SHORT, calendar=nyse())
    with pytest.raises(BatchError, match="portfolio_snapshots is missing or older"):
        compute_exposures(seeded, SHORT, calendar=nyse())
    compute_snapshots(seeded, SHORT, calendar=nyse())
    with seeded.transaction() as connection:
        connection.execute(text("UPDATE positions SET quantity = quantity + 1 WHERE symbol = 'AAPL'"))
    with pytest.raises(BatchError, match="portfolio_snapshots is missing or older"):
        compute_exposures(seeded, SHORT, calendar=nyse())


def test_an_empty_universe_is_an_error_that_says_what_to_do(database: Database, demo: DemoProvider) -> None:
    with pytest.raises(ClosingBellError, match=r"no active symbols.*closingbell init"):
        refresh_prices(database, SHORT, provider=demo, calendar=nyse())
    with pytest.raises(ClosingBellError, match=r"no active symbols.*closingbell init"):
        compute_factors(database, SHORT, calendar=nyse())


# ---------------------------------------------------------------- profiles and statements


def test_profiles_and_statements_are_fetched_on_the_latest_session_only(seeded: Database, demo: DemoProvider) -> None:
    reports = run_batch(seeded, demo, SHORT[:5])
    assert reports["company_profiles"].rows == 0
    assert rows(seeded, "SELECT count(*) FROM company_profiles") == [(0,)]
    run_batch(seeded, demo, SHORT[-1:])
    assert rows(seeded, "SELECT DISTINCT as_of FROM company_profiles") == [(LAST,)]
    assert rows(seeded, "SELECT count(*) > 0 FROM income_statements") == [(True,)]


def test_statements_are_not_fetched_again_before_the_next_earnings(seeded: Database, demo: DemoProvider) -> None:
    first = run_batch(seeded, demo, SHORT[-1:])["fundamentals"]
    again = run_batch(seeded, demo, SHORT[-1:])["fundamentals"]
    assert (first.items, again.items) == (20, 0)


def test_the_provider_s_beta_is_unknown_on_sessions_before_it_was_fetched(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, SHORT)
    known = rows(
        seeded,
        "SELECT DISTINCT session FROM symbol_factor_exposures WHERE factor_id = 1 AND beta IS NOT NULL",
    )
    assert known == [(LAST,)]


# ---------------------------------------------------------------- checks of the tables


def test_a_normal_year_has_no_findings(year_in_order: tuple[Database, dict[str, str]]) -> None:
    sessions = last_sessions(252)
    with year_in_order[0].transaction() as connection:
        assert inspection.session_gaps(connection, sessions) == []
        assert inspection.suspicious_prices(connection, sessions) == []
        assert inspection.missing_factors(connection, sessions) == []
        assert inspection.broken_identities(connection, sessions) == []


@pytest.mark.parametrize(
    ("damage", "check", "finding"),
    [
        (
            "DELETE FROM market_data_cache WHERE session = '2022-12-20' AND symbol_id = 1",
            inspection.session_gaps,
            "no bar on 1 sessions from 2022-12-20 to 2022-12-20, 0 of them refused",
        ),
        (
            "UPDATE market_data_cache SET session = '2022-12-24' WHERE session = '2022-12-23' AND symbol_id = 1",
            inspection.session_gaps,
            "1 bars on days that are not sessions, the first on 2022-12-24",
        ),
        (
            "UPDATE market_data_cache SET adj_close = adj_close * 3 WHERE session = '2022-12-20' AND symbol_id = 1",
            inspection.suspicious_prices,
            "2022-12-20",
        ),
        (
            "DELETE FROM symbol_factor_exposures WHERE session = '2022-12-20' AND symbol_id = 1 AND factor_id = 4",
            inspection.missing_factors,
            "1 sessions lack factors, the first 2022-12-20",
        ),
        (
            "UPDATE portfolio_snapshots SET cash = cash + 0.01 WHERE session = '2022-12-20' AND portfolio_id = 1",
            inspection.broken_identities,
            "2022-12-20",
        ),
    ],
)
def test_the_checks_find_damage_and_name_it(
    seeded: Database, demo: DemoProvider, damage: str, check: object, finding: str
) -> None:
    run_batch(seeded, demo, SHORT)
    with seeded.transaction() as connection:
        connection.execute(text(damage))
        findings = check(connection, SHORT)  # type: ignore[operator]
    assert findings
    assert any(finding in item.text for item in findings)


def test_a_changed_cell_changes_the_digest_of_its_table_only(seeded: Database, demo: DemoProvider) -> None:
    run_batch(seeded, demo, SHORT[-3:])
    before = hashes(seeded)
    assert set(before) == set(TABLES)
    with seeded.transaction() as connection:
        connection.execute(text("UPDATE symbol_factor_exposures SET beta = beta + 1e-12 WHERE symbol_id = 1"))
    after = hashes(seeded)
    assert {table for table in TABLES if before[table] != after[table]} == {"symbol_factor_exposures"}

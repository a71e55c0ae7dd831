"""Nights of the real schedules and sensors, at moments that the tests choose."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from plant import COMPUTED, copy_of, forget, hashes, rows, run_batch
from plant_on_dagster import Plant, evaluate_sensor, plant_in
from provider_contract import nyse
from sqlalchemy import text

from closingbell.batch.steps import STEPS
from closingbell.install import runtime
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.market.calendar import NEW_YORK
from closingbell.operations.jobs import JobType
from closingbell.providers.demo import DemoProvider
from closingbell.repositories import aliases, usage
from definitions import defs
from resources import Market, Warehouse
from resources.jobs import DAY_TAG, RANGE_START

THANKSGIVING = date(2022, 11, 24)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Return a moment of New York."""
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


def tick(plant: Plant, job: JobType, moment: datetime) -> list[dg.RunRequest]:
    """Evaluate a schedule of the definitions at a moment; return its requests."""
    schedule = next(item for item in defs.schedules or () if item.job_name == job.value)  # type: ignore[union-attr]
    assert isinstance(schedule, dg.ScheduleDefinition)
    resources = {"market": Market(), "warehouse": Warehouse()}
    with dg.build_schedule_context(
        instance=plant.instance, scheduled_execution_time=moment, resources=resources
    ) as context:
        return list(schedule.evaluate_tick(context).run_requests or ())


def sense(plant: Plant, name: str, moment: datetime, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str]:
    """Evaluate a sensor at a moment; return its requests, its reason and its cursor."""
    os.environ["CLOSINGBELL_CLOCK"] = moment.isoformat()
    forget()
    return evaluate_sensor(plant, name, cursor)


def work(plant: Plant, requests: list[dg.RunRequest], job: JobType | None = None) -> None:
    """Run the requested jobs."""
    for request in requests:
        name = request.job_name or (job or JobType.SYMBOL_BATCH).value
        result = defs.resolve_job_def(name).execute_in_process(
            instance=plant.instance, tags=request.tags, raise_on_error=False
        )
        assert result.success, name


def night(plant: Plant, day: date) -> None:
    """Run one night: both ticks."""
    work(plant, tick(plant, JobType.SYMBOL_BATCH, at(day, 21)))
    work(plant, tick(plant, JobType.PORTFOLIO_REFRESH, at(day, 21, 30)))


def computed(plant: Plant) -> dict[str, Counter[str]]:
    """Return, by asset, how often each of its partitions has been materialized."""
    counts: dict[str, Counter[str]] = {}
    for asset in (step.name for step in STEPS):
        records = plant.instance.fetch_materializations(dg.AssetKey(asset), limit=5000).records
        counts[asset] = Counter(str(record.partition_key) for record in records)
    return counts


def test_weeks_with_holidays_clock_changes_missed_nights_and_a_restart_end_complete(
    server: EmbeddedPostgres, seeded_template: str, demo: DemoProvider, tmp_path: Path
) -> None:
    database = copy_of(server, seeded_template)
    sessions = nyse().sessions(date(2022, 11, 4), date(2022, 11, 28))
    missed = {date(2022, 11, 15), date(2022, 11, 16), date(2022, 11, 17)}
    days = [sessions[0] + timedelta(days=offset) for offset in range(25)]
    for half in (days[:15], days[15:]):  # between them every process is restarted
        with plant_in(tmp_path, database) as plant:
            for day in half:
                if day not in missed and day.weekday() < 5:  # the cron expression has no weekends
                    night(plant, day)
            counts = computed(plant)
    for asset, partitions in counts.items():
        assert partitions == Counter({session.isoformat(): 1 for session in sessions}), asset
    direct = copy_of(server, seeded_template)
    run_batch(direct, demo, sessions)
    assert hashes(database, COMPUTED) == hashes(direct, COMPUTED)
    records = rows(database, "SELECT job_type, status, count(*) FROM batch_run_history GROUP BY 1, 2 ORDER BY 1, 2")
    assert records == [("portfolio_refresh", "completed", len(sessions)), ("symbol_batch", "completed", len(sessions))]


@pytest.mark.parametrize("day", [date(2022, 3, 14), date(2022, 11, 7), date(2022, 11, 25)])
def test_the_night_after_a_clock_change_or_a_half_day_requests_its_session(plant: Plant, day: date) -> None:
    assert [
        request.tags["dagster/asset_partition_range_end"] for request in tick(plant, JobType.SYMBOL_BATCH, at(day, 21))
    ] == [day.isoformat()]


def test_on_a_holiday_no_run_is_requested(plant: Plant) -> None:
    assert tick(plant, JobType.SYMBOL_BATCH, at(THANKSGIVING, 21)) == []
    assert tick(plant, JobType.PORTFOLIO_REFRESH, at(THANKSGIVING, 21, 30)) == []


def test_a_session_whose_factors_are_missing_is_requested_again(plant: Plant) -> None:
    monday, tuesday = date(2022, 11, 28), date(2022, 11, 29)
    defs.resolve_job_def("symbol_batch").execute_in_process(
        instance=plant.instance, partition_key=str(monday), asset_selection=[dg.AssetKey("prices")]
    )
    requests = tick(plant, JobType.SYMBOL_BATCH, at(tuesday, 21))
    assert [(request.tags[RANGE_START]) for request in requests] == [str(monday)]


# ---------------------------------------------------------------- the refresh waits

DAY = date(2022, 11, 29)
FRIDAY, MONDAY = date(2022, 11, 25), date(2022, 11, 28)


def test_a_symbol_batch_late_by_twenty_minutes_is_followed_by_the_refresh_at_once(plant: Plant) -> None:
    night(plant, MONDAY)
    assert tick(plant, JobType.PORTFOLIO_REFRESH, at(DAY, 21, 30)) == []
    # The symbol batch has not started either: the sensor requests it, and not the refresh.
    requests, _, _ = sense(plant, "catch_up", at(DAY, 21, 45))
    assert [request.job_name for request in requests] == ["symbol_batch"]
    work(plant, requests)
    requests, _, _ = sense(plant, "catch_up", at(DAY, 21, 50))
    assert [request.job_name for request in requests] == ["portfolio_refresh"]
    work(plant, requests)
    requests, reason, _ = sense(plant, "catch_up", at(DAY, 21, 51))
    assert requests == []
    assert set(reason.split("; ")) == {f"every session up to {DAY} is complete"}


def test_a_symbol_batch_late_by_two_hours_makes_the_refresh_fail_at_half_past_ten_and_the_next_night_heals(
    plant: Plant,
) -> None:
    night(plant, FRIDAY)
    tick(plant, JobType.PORTFOLIO_REFRESH, at(MONDAY, 21, 30))
    sense(plant, "catch_up", at(MONDAY, 22, 29))
    assert [record for record in plant.run_records() if record[1] == MONDAY] == []
    sense(plant, "catch_up", at(MONDAY, 22, 30))
    records = [record for record in plant.run_records() if record[1] == MONDAY]
    assert records == [
        (
            "portfolio_refresh",
            MONDAY,
            "failed",
            ["the symbol batch was not complete by 22:30 New York; the next night retries these sessions"],
        )
    ]
    requests, _, _ = sense(plant, "catch_up", at(MONDAY, 22, 31))
    assert [request.job_name for request in requests] == ["symbol_batch"]
    work(plant, tick(plant, JobType.SYMBOL_BATCH, at(MONDAY, 23)))
    requests, reason, _ = sense(plant, "catch_up", at(MONDAY, 23, 1))
    assert requests == []
    assert "portfolio_refresh: has failed tonight" in reason
    night(plant, DAY)
    assert [(job, status) for job, day, status, _ in plant.run_records() if day in {MONDAY, DAY}] == [
        ("portfolio_refresh", "completed"),
        ("portfolio_refresh", "completed"),
        ("symbol_batch", "completed"),
        ("symbol_batch", "completed"),
    ]


def test_a_batch_that_failed_tonight_waits_for_the_next_night(plant: Plant) -> None:
    with plant.database.transaction() as connection:
        connection.execute(text("UPDATE symbol_universe SET status = 'inactive'"))
    result = defs.resolve_job_def("symbol_batch").execute_in_process(
        instance=plant.instance, partition_key=str(DAY), raise_on_error=False
    )
    assert not result.success
    requests, reason, _ = sense(plant, "catch_up", at(DAY, 21, 5))
    assert requests == []
    assert "symbol_batch: has failed tonight" in reason


# ---------------------------------------------------------------- alerts


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that records what it receives."""
    received: list[dict[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", received
    server.shutdown()
    server.server_close()


def test_a_late_batch_and_data_that_are_behind_are_alerted_once(
    plant: Plant, webhook: tuple[str, list[dict[str, str]]]
) -> None:
    url, received = webhook
    os.environ["CLOSINGBELL_ALERT_WEBHOOK"] = url
    night(plant, FRIDAY)
    cursor = sense(plant, "alerts", at(MONDAY, 21, 14))[2]
    assert received == []
    cursor = sense(plant, "alerts", at(MONDAY, 21, 15), cursor)[2]
    assert [(alert["kind"], alert["level"]) for alert in received] == [("batch_late", "critical")]
    assert received[0]["text"] == f"symbol_batch of {MONDAY}, due at 2022-11-28 21:00 New York, has not started"
    cursor = sense(plant, "alerts", at(MONDAY, 21, 16), cursor)[2]
    assert len(received) == 1
    cursor = sense(plant, "alerts", at(MONDAY, 22, 30), cursor)[2]
    assert [(alert["kind"], alert["level"]) for alert in received[1:]] == [("data_behind", "warning")]
    sense(plant, "alerts", at(DAY, 22, 30), cursor)
    assert ("data_behind", "critical") in [(alert["kind"], alert["level"]) for alert in received[2:]]


def test_a_failed_batch_is_alerted_with_its_reason_even_if_the_webhook_was_down_at_first(
    plant: Plant, webhook: tuple[str, list[dict[str, str]]]
) -> None:
    url, received = webhook
    with plant.database.transaction() as connection:
        connection.execute(text("UPDATE symbol_universe SET status = 'inactive'"))
    defs.resolve_job_def("symbol_batch").execute_in_process(
        instance=plant.instance, partition_key=str(DAY), raise_on_error=False
    )
    os.environ["CLOSINGBELL_ALERT_WEBHOOK"] = "http://127.0.0.1:1/"
    moment = runtime.now()
    cursor = sense(plant, "alerts", moment)[2]
    os.environ["CLOSINGBELL_ALERT_WEBHOOK"] = url
    sense(plant, "alerts", moment + timedelta(minutes=1), cursor)
    failed = [alert["text"] for alert in received if alert["kind"] == "batch_failed"]
    assert len(failed) == 1
    assert "the universe has no active symbols" in failed[0]


# ---------------------------------------------------------------- records


def test_a_correction_that_three_portfolios_agree_on_becomes_an_alias(plant: Plant) -> None:
    with plant.database.transaction() as connection:
        for portfolio in (1, 2, 3):
            aliases.record_correction(connection, portfolio, "APPL", "AAPL")
        aliases.record_correction(connection, 1, "MSTF", "MSFT")
    day = date(2022, 11, 28)
    work(plant, tick(plant, JobType.FEEDBACK_LEARNING, at(day, 20)), JobType.FEEDBACK_LEARNING)
    assert rows(plant.database, "SELECT alias, symbol, portfolios FROM symbol_aliases") == [("APPL", "AAPL", 3)]
    assert plant.run_records() == [("feedback_learning", day, "completed", [])]


def test_admin_metrics_writes_yesterday_s_figures_and_deletes_old_requests(plant: Plant) -> None:
    day = date(2022, 11, 28)
    yesterday = at(day - timedelta(days=1), 12)
    with plant.database.transaction() as connection:
        answered = [usage.Request(yesterday, "/portfolios", 200, float(ms)) for ms in range(1, 101)]
        failed = usage.Request(yesterday, "/portfolios", 503, 7.0)
        others = [usage.Request(at(day, 1), "/x", 200, 1.0), usage.Request(at(date(2022, 9, 1), 1), "/x", 200, 1.0)]
        usage.record_requests(connection, [*answered, failed, *others])
    for _ in range(2):
        work(plant, tick(plant, JobType.ADMIN_METRICS, at(day, 20, 30)), JobType.ADMIN_METRICS)
    with plant.database.transaction() as connection:
        query = text("SELECT name, value FROM daily_metrics WHERE day = :day")
        figures = dict(map(tuple, connection.execute(query, {"day": day - timedelta(days=1)})))
        kept = connection.execute(text("SELECT count(*) FROM api_requests")).scalar_one()
    assert figures["api_requests"] == 101
    assert figures["api_errors"] == 1
    assert figures["api_p50_ms"] == 50
    assert figures["symbols_active"] == 34
    assert kept == 102


def test_the_day_of_a_record_job_is_that_of_its_tick(plant: Plant) -> None:
    requests = tick(plant, JobType.ADMIN_METRICS, at(date(2022, 11, 28), 20, 30))
    assert [request.tags[DAY_TAG] for request in requests] == ["2022-11-28"]

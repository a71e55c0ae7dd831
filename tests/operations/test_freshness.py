"""How far the tables are behind."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from provider_contract import nyse

from closingbell.operations.freshness import Level, freshness, level_of, next_batch, sessions_behind

FRIDAY, MONDAY = date(2022, 11, 25), date(2022, 11, 28)


def test_weekends_do_not_count_as_sessions_behind() -> None:
    assert sessions_behind(nyse(), FRIDAY, FRIDAY) == 0
    assert sessions_behind(nyse(), FRIDAY, MONDAY) == 1
    assert sessions_behind(nyse(), MONDAY, FRIDAY) == 0
    assert sessions_behind(nyse(), None, MONDAY) is None


@pytest.mark.parametrize(
    ("behind", "level"), [(0, Level.CURRENT), (1, Level.WARNING), (2, Level.CRITICAL), (None, Level.CRITICAL)]
)
def test_one_session_behind_is_a_warning_and_more_or_none_at_all_is_critical(behind: int | None, level: Level) -> None:
    assert level_of(behind) is level


def test_the_next_batch_is_on_the_evening_of_the_next_session() -> None:
    before, after = datetime(2022, 11, 28, 20, 59), datetime(2022, 11, 28, 21, 0)  # noqa: DTZ001 - given a zone below
    zone = next_batch(nyse(), datetime(2022, 11, 26, tzinfo=UTC)).tzinfo
    assert next_batch(nyse(), before.replace(tzinfo=zone)).date() == MONDAY
    assert next_batch(nyse(), after.replace(tzinfo=zone)).date() == date(2022, 11, 29)
    fresh = freshness(nyse(), FRIDAY, expected=MONDAY, now=before.replace(tzinfo=zone))
    assert (fresh.sessions_behind, fresh.level, fresh.next_update.hour) == (1, Level.WARNING, 21)

"""Rows written in PostgreSQL's binary COPY format, read back in plain SQL; and arrays read as numpy's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from closingbell.repositories.copying import BLOCK_ROWS, Column, array_cursor, copy_rows
from closingbell.repositories.database import Database, driver
from closingbell.repositories.tables import QUALITY_FLAGS

TYPES = {
    "place": "integer",
    "small": "smallint",
    "whole": "integer",
    "big": "bigint",
    "double": "double precision",
    "day": "date",
    "cents": "numeric",
    "micros": "numeric(30, 6)",
    "words": "text",
    "document": "jsonb",
    "label": "text",
    "flag": "quality_flag",
}
LABELS = ("", "a", "Überfluß", "何か", "🔔" * 5)
LARGEST = 2**63 - 1
"""The smallest 64-bit integer is one further from 0 and has no absolute value: no NUMERIC is made of it."""

Row = tuple[Any, ...]

# Every example has a table of its own in the test's database.
one_database = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# What PostgreSQL can hold: a text has no NUL and no half of a surrogate pair, a NUMERIC no negative zero.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(-1e9, 1e9).map(lambda number: number + 0.0)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
rows_of_all_kinds = st.tuples(
    st.none() | st.integers(-(2**15), 2**15 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-LARGEST - 1, LARGEST),
    st.none() | st.floats(allow_nan=False),
    st.dates(),
    st.none() | st.integers(-20_000, 20_000) | st.integers(-LARGEST, LARGEST),
    st.none() | st.integers(-20_000_000, 20_000_000) | st.integers(-LARGEST, LARGEST),
    texts,
    documents,
    st.sampled_from(range(len(LABELS))),
    st.sampled_from(range(len(QUALITY_FLAGS))),
)


def integers(values: Sequence[int | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return values and where they are NULL."""
    nulls = np.array([value is None for value in values], dtype=np.bool_)
    return np.array([value or 0 for value in values], dtype=np.int64), nulls


def numeric(name: str, values: Sequence[int | None], scale: int) -> Column:
    units, nulls = integers(values)
    return Column.numeric(name, units, scale, nulls)


def columns_of(rows: Sequence[Row], first_place: int = 0) -> list[Column]:
    def values(index: int) -> list[Any]:
        return [row[index] for row in rows]

    return [
        Column.integer("place", np.arange(first_place, first_place + len(rows))),
        Column.smallint("small", *integers(values(0))),
        Column.integer("whole", *integers(values(1))),
        Column.bigint("big", *integers(values(2))),
        Column.double("double", np.array([np.nan if x is None else x for x in values(3)], dtype=np.float64)),
        Column.date("day", np.array(values(4), dtype="datetime64[D]")),
        numeric("cents", values(5), 2),
        numeric("micros", values(6), 6),
        Column.text("words", values(7)),
        Column.json("document", values(8)),
        Column.label("label", np.array(values(9), dtype=np.int64), LABELS),
        Column.label("flag", np.array(values(10), dtype=np.int64), QUALITY_FLAGS),
    ]


def exact(row: Row) -> Row:
    """Make equal what is the same: the sign of 0.0 counts, zeros behind a decimal point do, and 1 is not true."""
    small, whole, big, double, day, two, six, words, document, *labels = row
    decimals = [None if number is None else number.as_tuple() for number in (two, six)]
    return (small, whole, big, repr(double), day, *decimals, words, json.dumps(document, sort_keys=True), *labels)


def expected(row: Row) -> Row:
    *front, two, six, words, document, label, flag = row
    decimals = [None if x is None else Decimal(x).scaleb(-scale) for x, scale in ((two, 2), (six, 6))]
    return exact((*front, *decimals, words, document, LABELS[label], QUALITY_FLAGS[flag]))


def written(database: Database, *batches: Sequence[Row]) -> list[Row]:
    """Write batches of rows into a new table and return what SQL says of it."""
    starts = np.cumsum([0, *map(len, batches)]).tolist()
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute(f"CREATE TEMP TABLE copied ({columns}) ON COMMIT DROP".encode())
        copied = copy_rows(connection, "copied", map(columns_of, batches, starts))
        assert copied == starts[-1]
        rows = connection.execute(f"SELECT {', '.join(TYPES)} FROM copied ORDER BY place".encode()).fetchall()
    assert [row[0] for row in rows] == list(range(starts[-1]))
    return [exact(row[1:]) for row in rows]


@settings(one_database, max_examples=150)
@given(rows=st.lists(rows_of_all_kinds, max_size=30))
def test_what_is_written_is_what_sql_reads(database: Database, rows: list[Row]) -> None:
    assert written(database, rows) == [expected(row) for row in rows]


@settings(one_database, max_examples=30)
@given(batches=st.lists(st.lists(rows_of_all_kinds, max_size=4), max_size=5))
def test_batches_follow_each_other_whatever_the_lengths_of_their_texts(
    database: Database, batches: list[list[Row]]
) -> None:
    assert written(database, *batches) == [expected(row) for batch in batches for row in batch]


EXTREMES: list[Row] = [
    (-(2**15), -(2**31), -(2**63), float("-inf"), date(1, 1, 1), -LARGEST, -LARGEST, "", None, 0, 0),
    (2**15 - 1, 2**31 - 1, LARGEST, float("inf"), date(9999, 12, 31), LARGEST, LARGEST, "🔔", {"": []}, 4, 3),
    (0, 0, 0, -0.0, date(2000, 1, 1), 0, 0, "\n\t\\N", "\\.", 1, 1),
    (-1, -1, -1, 5e-324, date(1999, 12, 31), -1, -1, "\ufffe\uffff", [True, 1, "1"], 2, 2),
    (1, 1, 1, 1.7976931348623157e308, date(2000, 2, 29), 100, 1_000_000, " a ", {"é": {"🔔": 0.1}}, 3, 0),
    (9999, 10_000, 10_000, 0.1, date(1970, 1, 1), 1_000_000, 10_000_000_000, "x" * 5000, "", 1, 1),
    (None, None, None, None, date(2022, 12, 28), None, None, "NULL", None, 0, 3),
]


def test_the_extremes_of_every_type_survive(database: Database) -> None:
    assert written(database, EXTREMES) == [expected(row) for row in EXTREMES]


@pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 17])
def test_rows_are_the_same_on_either_side_of_a_block(database: Database, count: int) -> None:
    """Of the first block's rows none has a NULL, of the second's many."""
    random = np.random.default_rng(count)
    whole = [row for row in EXTREMES if None not in row[:7]]
    first = [whole[choice] for choice in random.integers(len(whole), size=min(count, BLOCK_ROWS))]
    rows = first + [EXTREMES[choice] for choice in random.integers(len(EXTREMES), size=count - len(first))]
    assert written(database, rows) == [expected(row) for row in rows]


def test_a_column_that_is_null_throughout_is_null_throughout(database: Database) -> None:
    rows = [EXTREMES[-1]] * 5
    assert written(database, rows) == [expected(row) for row in rows]


def test_without_batches_nothing_is_written_and_the_table_is_not_asked_for(database: Database) -> None:
    assert written(database) == []
    with database.transaction() as connection:
        assert copy_rows(driver(connection), "no_such_table", []) == 0


def test_a_batch_without_rows_writes_nothing(database: Database) -> None:
    assert written(database, [], EXTREMES, []) == [expected(row) for row in EXTREMES]


def test_names_that_sql_reserves_are_quoted(database: Database) -> None:
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute('CREATE TEMP TABLE "order" ("select" integer) ON COMMIT DROP')
        assert copy_rows(connection, "order", [[Column.integer("select", np.array([7]))]]) == 1
        assert connection.execute('SELECT "select" FROM "order"').fetchall() == [(7,)]


def test_rows_that_the_table_refuses_leave_none_behind(database: Database) -> None:
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute("CREATE TEMP TABLE copied (positive integer CHECK (positive > 0)) ON COMMIT DROP")
        batches = [[Column.integer("positive", np.array(values))] for values in ([1, 2], [3, 0])]
        with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
            copy_rows(connection, "copied", batches)
        assert connection.execute("SELECT * FROM copied").fetchall() == []


def select_array(database: Database, literal: str, kind: str) -> NDArray[Any]:
    with database.transaction() as connection, array_cursor(driver(connection)) as cursor:
        cursor.execute("SELECT %s::text::" + kind, (literal,))
        ((array,),) = cursor.fetchall()
    assert isinstance(array, np.ndarray)
    return array


@settings(one_database, max_examples=60)
@given(values=st.lists(st.floats(), max_size=20))
def test_arrays_of_doubles_arrive_to_the_last_bit(database: Database, values: list[float]) -> None:
    array = select_array(database, "{" + ",".join(map(repr, values)) + "}", "float8[]")
    assert array.dtype == np.float64
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, np.array(values, dtype=np.float64))
    np.testing.assert_array_equal(np.signbit(array[array == 0]), np.signbit([value for value in values if value == 0]))


@pytest.mark.parametrize(("kind", "bits"), [("int4[]", 32), ("int8[]", 64)])
@settings(one_database, max_examples=40)
@given(data=st.data())
def test_arrays_of_integers_arrive_as_they_are(database: Database, kind: str, bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), max_size=20))
    array = select_array(database, "{" + ",".join(map(str, values)) + "}", kind)
    assert array.dtype == np.dtype(f"int{bits}")
    assert array.dtype.isnative
    assert array.tolist() == values


@pytest.mark.parametrize("kind", ["float8[]", "int4[]", "int8[]"])
def test_an_empty_array_is_empty_and_of_its_type(database: Database, kind: str) -> None:
    array = select_array(database, "{}", kind)
    assert array.shape == (0,)
    assert array.dtype == {"float8[]": np.float64, "int4[]": np.int32, "int8[]": np.int64}[kind]


def test_arrays_aggregated_over_rows_can_be_written_to_and_a_missing_one_is_none(database: Database) -> None:
    query = "SELECT array_agg(n), array_agg(n::int8), array_agg(n / 4.0::float8), NULL::float8[] FROM {} n"
    with database.transaction() as connection, array_cursor(driver(connection)) as cursor:
        cursor.execute(query.replace("{}", "generate_series(1, 1000)").encode())
        ((small, big, double, missing),) = cursor.fetchall()
    assert missing is None
    for array, divisor in ((small, 1), (big, 1), (double, 4)):
        np.testing.assert_array_equal(array, np.arange(1, 1001) / divisor)
        array[0] = 0


def test_only_the_array_cursor_reads_arrays_differently(database: Database) -> None:
    with database.transaction() as transaction:
        connection = driver(transaction)
        with array_cursor(connection) as cursor:
            cursor.execute("SELECT '{1,2}'::int4[], 'x', '2022-12-28'::date, 1.50::numeric")
            ((array, *others),) = cursor.fetchall()
        assert array.tolist() == [1, 2]
        assert others == ["x", date(2022, 12, 28), Decimal("1.50")]
        assert connection.execute("SELECT '{1,2}'::int4[], '{0.5}'::float8[]").fetchall() == [([1, 2], [0.5])]

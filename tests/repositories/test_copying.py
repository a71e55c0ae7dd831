"""Rows written in PostgreSQL's binary COPY format and read back with plain SQL; arrays read into numpy arrays."""

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
    "medium": "integer",
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
"""The smallest 64-bit integer has no absolute value of 64 bits, so no NUMERIC column can hold it."""

Row = tuple[Any, ...]

# Every example uses its own table in the test's database.
one_database = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# What PostgreSQL can store: texts without NUL and lone surrogates, and NUMERIC without negative zero.
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
        Column.integer("medium", *integers(values(1))),
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
    """Return a row that compares exactly: the sign of 0.0 and trailing decimal zeros count, and 1 is not true."""
    small, medium, big, double, day, two, six, words, document, *labels = row
    decimals = [None if number is None else number.as_tuple() for number in (two, six)]
    return (small, medium, big, repr(double), day, *decimals, words, json.dumps(document, sort_keys=True), *labels)


def expected(row: Row) -> Row:
    *front, two, six, words, document, label, flag = row
    decimals = [None if x is None else Decimal(x).scaleb(-scale) for x, scale in ((two, 2), (six, 6))]
    return exact((*front, *decimals, words, document, LABELS[label], QUALITY_FLAGS[flag]))


def written(database: Database, *batches: Sequence[Row]) -> list[Row]:
    """Write batches of rows into a new table and return its rows as SQL reads them."""
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
def test_sql_reads_the_rows_that_were_written(database: Database, rows: list[Row]) -> None:
    assert written(database, rows) == [expected(row) for row in rows]


@settings(one_database, max_examples=30)
@given(batches=st.lists(st.lists(rows_of_all_kinds, max_size=4), max_size=5))
def test_batches_are_written_in_order_when_the_lengths_of_their_texts_differ(
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


def test_the_extremes_of_every_type_are_stored_exactly(database: Database) -> None:
    assert written(database, EXTREMES) == [expected(row) for row in EXTREMES]


@pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 17])
def test_rows_around_the_end_of_a_block_are_stored_exactly(database: Database, count: int) -> None:
    """No row of the first block has a NULL, many of the second do."""
    random = np.random.default_rng(count)
    without_null = [row for row in EXTREMES if None not in row[:7]]
    choices = random.integers(len(without_null), size=min(count, BLOCK_ROWS))
    first = [without_null[choice] for choice in choices]
    rows = first + [EXTREMES[choice] for choice in random.integers(len(EXTREMES), size=count - len(first))]
    assert written(database, rows) == [expected(row) for row in rows]


def test_a_column_of_nulls_is_null_in_every_row(database: Database) -> None:
    rows = [EXTREMES[-1]] * 5
    assert written(database, rows) == [expected(row) for row in rows]


def test_a_text_column_may_have_nulls(database: Database) -> None:
    texts = np.array([b"one", b"", b"three"])
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute("CREATE TEMP TABLE copied (place integer, words text) ON COMMIT DROP")
        words = Column("words", texts, texts.dtype, np.array([False, False, True]))
        assert copy_rows(connection, "copied", [[Column.integer("place", np.arange(3)), words]]) == 3
        rows = connection.execute("SELECT words FROM copied ORDER BY place").fetchall()
    assert rows == [("one",), ("",), (None,)]


@pytest.mark.parametrize("scale", [0, 2, 6])
def test_numbers_are_rounded_to_decimals_and_nan_is_null(database: Database, scale: int) -> None:
    numbers = np.array([1234.56789, -0.005, 2.5, np.nan, 0.0])
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute("CREATE TEMP TABLE copied (place integer, amount numeric) ON COMMIT DROP")
        columns = [Column.integer("place", np.arange(5)), Column.rounded("amount", numbers, scale)]
        copy_rows(connection, "copied", [columns])
        rows = connection.execute("SELECT amount FROM copied ORDER BY place").fetchall()
    expected = [None if np.isnan(x) else Decimal(round(x * 10**scale)).scaleb(-scale) for x in numbers.tolist()]
    assert [amount for (amount,) in rows] == expected


def test_without_batches_nothing_is_written_and_the_table_is_not_accessed(database: Database) -> None:
    assert written(database) == []
    with database.transaction() as connection:
        assert copy_rows(driver(connection), "no_such_table", []) == 0


def test_a_batch_without_rows_writes_nothing(database: Database) -> None:
    assert written(database, [], EXTREMES, []) == [expected(row) for row in EXTREMES]


def test_reserved_words_are_quoted_as_names(database: Database) -> None:
    with database.transaction() as transaction:
        connection = driver(transaction)
        connection.execute('CREATE TEMP TABLE "order" ("select" integer) ON COMMIT DROP')
        assert copy_rows(connection, "order", [[Column.integer("select", np.array([7]))]]) == 1
        assert connection.execute('SELECT "select" FROM "order"').fetchall() == [(7,)]


def test_rows_that_violate_a_constraint_leave_the_table_empty(database: Database) -> None:
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
def test_arrays_of_doubles_are_read_to_the_last_bit(database: Database, values: list[float]) -> None:
    array = select_array(database, "{" + ",".join(map(repr, values)) + "}", "float8[]")
    assert array.dtype == np.float64
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, np.array(values, dtype=np.float64))
    np.testing.assert_array_equal(np.signbit(array[array == 0]), np.signbit([value for value in values if value == 0]))


@pytest.mark.parametrize(("kind", "bits"), [("int4[]", 32), ("int8[]", 64)])
@settings(one_database, max_examples=40)
@given(data=st.data())
def test_arrays_of_integers_are_read_exactly(database: Database, kind: str, bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), max_size=20))
    array = select_array(database, "{" + ",".join(map(str, values)) + "}", kind)
    assert array.dtype == np.dtype(f"int{bits}")
    assert array.dtype.isnative
    assert array.tolist() == values


@pytest.mark.parametrize("kind", ["float8[]", "int4[]", "int8[]"])
def test_an_empty_array_keeps_its_type(database: Database, kind: str) -> None:
    array = select_array(database, "{}", kind)
    assert array.shape == (0,)
    assert array.dtype == {"float8[]": np.float64, "int4[]": np.int32, "int8[]": np.int64}[kind]


def test_aggregated_arrays_are_writable_and_a_null_array_is_none(database: Database) -> None:
    query = "SELECT array_agg(n), array_agg(n::int8), array_agg(n / 4.0::float8), NULL::float8[] FROM {} n"
    with database.transaction() as connection, array_cursor(driver(connection)) as cursor:
        cursor.execute(query.replace("{}", "generate_series(1, 1000)").encode())
        ((small, big, double, missing),) = cursor.fetchall()
    assert missing is None
    for array, divisor in ((small, 1), (big, 1), (double, 4)):
        np.testing.assert_array_equal(array, np.arange(1, 1001) / divisor)
        array[0] = 0


def test_other_cursors_read_arrays_as_lists(database: Database) -> None:
    with database.transaction() as transaction:
        connection = driver(transaction)
        with array_cursor(connection) as cursor:
            cursor.execute("SELECT '{1,2}'::int4[], 'x', '2022-12-28'::date, 1.50::numeric")
            ((array, *others),) = cursor.fetchall()
        assert array.tolist() == [1, 2]
        assert others == ["x", date(2022, 12, 28), Decimal("1.50")]
        assert connection.execute("SELECT '{1,2}'::int4[], '{0.5}'::float8[]").fetchall() == [([1, 2], [0.5])]

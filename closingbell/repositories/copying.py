"""PostgreSQL's binary COPY format, to and from numpy arrays without a Python loop over rows.

The format (PostgreSQL manual, "COPY", section "Binary Format"): a header, then per row a 16-bit count of fields and
per field a 32-bit length (-1 for NULL) and the value in network byte order, then a trailer. Rows of fixed-width
columns form one structured array; a mask then removes the bytes of NULLs and the padding of texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from closingbell.arrays import Bools, Floats

HEADER = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
TRAILER = b"\xff\xff"
POSTGRES_EPOCH = np.datetime64("2000-01-01", "D")
BLOCK_ROWS = 8192
"""Rows encoded at a time: a block of this size stays in the processor's cache."""

GROUP = 10_000
"""NUMERIC values are sent as groups of four decimal digits."""

INTEGER_GROUPS = 5
"""Groups before the decimal point: enough for a 64-bit integer."""

NEGATIVE = 0x4000
"""The sign field of a negative NUMERIC."""

FLOAT8_ARRAY_OID = 1022
INT4_ARRAY_OID = 1007
INT8_ARRAY_OID = 1016
ARRAY_HEADER_BYTES = 20


@dataclass(frozen=True)
class Column:
    """One column of the rows to write.

    Parameters
    ----------
    name : str
        The table's column.
    values : ndarray, shape (R,)
        Of any type that numpy can convert to `wire`.
    wire : dtype
        The layout of the value in the stream; values of a bytes type are sent without their padding.
    null : ndarray of bool, shape (R,), or None
        Where the value is NULL; None: nowhere.
    """

    name: str
    values: NDArray[Any]
    wire: np.dtype[Any]
    null: Bools | None = None

    @classmethod
    def smallint(cls, name: str, values: NDArray[Any], null: Bools | None = None) -> Column:
        """Make a column of 16-bit integers."""
        return cls(name, values, np.dtype(">i2"), null)

    @classmethod
    def integer(cls, name: str, values: NDArray[Any], null: Bools | None = None) -> Column:
        """Make a column of 32-bit integers."""
        return cls(name, values, np.dtype(">i4"), null)

    @classmethod
    def bigint(cls, name: str, values: NDArray[Any], null: Bools | None = None) -> Column:
        """Make a column of 64-bit integers."""
        return cls(name, values, np.dtype(">i8"), null)

    @classmethod
    def double(cls, name: str, values: NDArray[Any]) -> Column:
        """Make a column of double precision numbers; NaN is NULL."""
        return cls(name, values, np.dtype(">f8"), np.isnan(values))

    @classmethod
    def date(cls, name: str, values: NDArray[np.datetime64]) -> Column:
        """Make a column of dates."""
        days = (values.astype("datetime64[D]") - POSTGRES_EPOCH).astype(np.int32)
        return cls(name, days, np.dtype(">i4"))

    @classmethod
    def numeric(cls, name: str, units: NDArray[np.int64], scale: int, null: Bools | None = None) -> Column:
        """Make a NUMERIC column from integers that count units of 10**-scale: cents are ``scale=2``."""
        return cls(name, _decimal_digits(units, scale), _decimal_layout(scale), null)

    @classmethod
    def rounded(cls, name: str, values: Floats, scale: int) -> Column:
        """Make a NUMERIC column of numbers rounded to `scale` decimals; NaN is NULL."""
        units = np.rint(np.nan_to_num(values) * 10**scale).astype(np.int64)
        return cls.numeric(name, units, scale, np.isnan(values))

    @classmethod
    def text(cls, name: str, values: Sequence[str]) -> Column:
        """Make a column of text."""
        return cls.label(name, np.arange(len(values)), values)

    @classmethod
    def json(cls, name: str, values: Sequence[object]) -> Column:
        """Make a JSONB column; its wire format is a version byte followed by the text."""
        texts = ["\x01" + json.dumps(value, separators=(",", ":"), ensure_ascii=True) for value in values]
        return cls.text(name, texts)

    @classmethod
    def label(cls, name: str, codes: NDArray[Any], labels: Sequence[str]) -> Column:
        """Make a column of text or of an enum from indices into `labels`."""
        texts = np.array([text.encode() for text in labels], dtype=np.bytes_)[codes]
        return cls(name, texts, texts.dtype)


def _decimal_layout(scale: int) -> np.dtype[Any]:
    """Return the layout of a NUMERIC: 20 digits before the decimal point and at least `scale` after it."""
    groups = INTEGER_GROUPS + -(-scale // 4)
    return np.dtype(
        [("ndigits", ">i2"), ("weight", ">i2"), ("sign", ">u2"), ("dscale", ">i2"), ("digits", ">i2", (groups,))]
    )


def _decimal_digits(units: NDArray[np.int64], scale: int) -> NDArray[Any]:
    """Split units of 10**-scale into groups of four decimal digits. The server drops leading groups of zeros."""
    layout = _decimal_layout(scale)
    numbers = np.zeros(len(units), dtype=layout)
    groups = layout["digits"].shape[0]
    numbers["ndigits"], numbers["weight"], numbers["dscale"] = groups, INTEGER_GROUPS - 1, scale
    numbers["sign"] = np.where(units < 0, NEGATIVE, 0)
    whole, fraction = np.divmod(np.abs(units), 10**scale)
    fraction *= 10 ** (-scale % 4)
    for group in reversed(range(INTEGER_GROUPS, groups)):
        fraction, numbers["digits"][:, group] = np.divmod(fraction, GROUP)
    for group in reversed(range(INTEGER_GROUPS)):
        whole, numbers["digits"][:, group] = np.divmod(whole, GROUP)
    return numbers


def encode_rows(columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield the rows in binary COPY format, without header and trailer, a block of rows at a time."""
    fields: list[tuple[str, Any]] = [("count", ">i2")]
    for index, column in enumerate(columns):
        fields += [(f"length{index}", ">i4"), (f"value{index}", column.wire)]
    layout = np.dtype(fields)
    for start in range(0, len(columns[0].values), BLOCK_ROWS):
        yield _encode_block(columns, slice(start, start + BLOCK_ROWS), layout)


def _encode_block(columns: Sequence[Column], block: slice, layout: np.dtype[Any]) -> bytes:
    rows = np.empty(len(columns[0].values[block]), dtype=layout)
    rows["count"] = len(columns)
    shortened: list[tuple[int, int, NDArray[Any]]] = []
    for index, column in enumerate(columns):
        width, lengths = column.wire.itemsize, _lengths(column, block)
        offset = layout.fields[f"value{index}"][1]  # type: ignore[index]
        rows[f"value{index}"] = column.values[block]
        rows[f"length{index}"] = width if lengths is None else lengths
        if lengths is not None:
            shortened.append((offset, width, lengths))
    if not shortened:
        return rows.tobytes()
    keep = np.ones((len(rows), layout.itemsize), dtype=np.bool_)
    for offset, width, lengths in shortened:
        keep[:, offset : offset + width] = np.arange(width) < lengths[:, None]
    return rows.view(np.uint8).reshape(keep.shape)[keep].tobytes()


def _lengths(column: Column, block: slice) -> NDArray[Any] | None:
    """Return the number of bytes of each value, -1 for NULL; None if all values have the full width."""
    is_text = column.wire.kind == "S"
    full = np.char.str_len(column.values[block]) if is_text else None
    null = None if column.null is None else column.null[block]
    if null is None or not null.any():
        return full
    return np.where(null, -1, column.wire.itemsize if full is None else full)


def copy_rows(connection: psycopg.Connection[Any], table: str, batches: Iterable[Sequence[Column]]) -> int:
    """Write batches of rows, all with the same columns, into a table with one COPY; return how many were written."""
    rows = 0
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        return rows
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in first)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER)
        for batch in chain([first], iterator):
            rows += len(batch[0].values)
            for block in encode_rows(batch):
                copy.write(block)
        copy.write(TRAILER)
    return rows


class _ArrayLoader(Loader):
    """Read a one-dimensional PostgreSQL array without NULLs into a numpy array."""

    format = Format.BINARY
    item: ClassVar[str]

    def load(self, data: Buffer) -> NDArray[Any]:
        element = np.dtype([("length", ">i4"), ("value", self.item)])
        # An empty array has a shorter header without dimensions, so this slice is empty too.
        items = np.frombuffer(bytes(data)[ARRAY_HEADER_BYTES:], dtype=element)
        return items["value"].astype(np.dtype(self.item).newbyteorder("="))


class _DoubleArrayLoader(_ArrayLoader):
    item = ">f8"


class _IntegerArrayLoader(_ArrayLoader):
    item = ">i4"


class _BigintArrayLoader(_ArrayLoader):
    item = ">i8"


def array_cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """Return a cursor whose ``float8[]``, ``int4[]`` and ``int8[]`` results are numpy arrays."""
    cursor = connection.cursor(binary=True)
    cursor.adapters.register_loader(FLOAT8_ARRAY_OID, _DoubleArrayLoader)
    cursor.adapters.register_loader(INT4_ARRAY_OID, _IntegerArrayLoader)
    cursor.adapters.register_loader(INT8_ARRAY_OID, _BigintArrayLoader)
    return cursor

"""The file itself: bytes become rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches

from closingbell.ledger import NewPosition
from closingbell.uploads.errors import Code, Detail, RejectedError, cut
from closingbell.uploads.positions import COLUMNS, REQUIRED, Row

MAX_BYTES = 10 * 1024**2
MAX_ROWS = 20_000
MAX_COLUMNS = 100
"""A header that is longer is none of ours, and not looked at column by column."""

TEMPLATE = """\
# One row per lot. Symbol, Quantity, Entry Price Per Share and Entry Date are needed; a negative quantity is a short.
# An option may be written as its OCC symbol (AAPL230120C00150000), or with the four option columns as below.
Symbol,Quantity,Entry Price Per Share,Entry Date,Investment Class,Investment Subtype,Underlying Symbol,Strike Price,\
Expiration Date,Option Type,Exit Date,Exit Price Per Share
AAPL,100,150.25,2022-01-14,PUBLIC,STOCK,,,,,,
IWM,-40,198.10,2022-03-01,PUBLIC,ETF,,,,,,
SPY_PUT,8,11.35,2022-08-15,OPTIONS,PUT,SPY,400,2023-06-16,PUT,,
ACME_SERIES_B,1000,25.00,2020-02-14,PRIVATE,PRIVATE_EQUITY,,,,,,
"""


def read_positions(content: bytes, *, today: date) -> tuple[NewPosition, ...]:
    """Read an uploaded file, all of it or nothing.

    UTF-8, with or without a byte order mark; commas or semicolons; RFC 4180 quoting; columns in any order and letter
    case. Lines that begin with ``#`` and blank lines are skipped.

    Parameters
    ----------
    content : bytes
    today : date
        No entry and no exit lies after it.

    Returns
    -------
    tuple of NewPosition
        In the order of the file. Equal rows are lots of their own.

    Raises
    ------
    RejectedError
        With every cell that is wrong, in every row.
    """
    records = _records(_decoded(content))
    first = next(records, None)
    if first is None:
        raise RejectedError(Code.EMPTY)
    line, header = first
    columns = _columns(line, header)
    positions: list[NewPosition] = []
    details: list[Detail] = []
    try:
        for line, fields in _bounded(records):
            position, wrong = _row(line, columns, fields, today)
            details += wrong
            positions += [] if position is None else [position]
    except RejectedError as error:
        # What cannot be read on ends the list of what is wrong.
        raise RejectedError(error.code, str(error), [*details, *error.details]) from error
    if details:
        ragged = any(detail.code == Code.MALFORMED for detail in details)
        place = f"line {details[0].row}{f', {details[0].column}' if details[0].column else ''}"
        message = f"{len(details)} cells are wrong, the first in {place}: {details[0].message}"
        raise RejectedError(Code.MALFORMED if ragged else Code.FILE_INVALID, message, details)
    if not positions:
        raise RejectedError(Code.EMPTY, "the file has a header, but no rows")
    return tuple(positions)


def _row(
    line: int, columns: Sequence[str], fields: Sequence[str], today: date
) -> tuple[NewPosition | None, list[Detail]]:
    """Read one row; return its position, or what is wrong with it."""
    if len(fields) != len(columns):
        message = f"the row has {len(fields)} cells, the header {len(columns)}"
        return None, [Detail(line, None, Code.MALFORMED, message)]
    row = Row(dict(zip(columns, fields, strict=True)), line, today)
    return row.read(), row.details


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise RejectedError(Code.FILE_TOO_LARGE, f"the file is larger than {MAX_BYTES // 1024**2} MB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RejectedError(Code.NOT_A_CSV, "the file is not UTF-8 text; export it as CSV UTF-8") from error
    if "\0" in text:
        raise RejectedError(Code.NOT_A_CSV, "the file is not text")
    return text


class _Lines:
    """Hands lines to the CSV reader, leaving out comments and blank lines, but only where a record can begin.

    Within a quoted cell such a line belongs to the cell; and a comment may hold a quote that closes nothing.
    """

    def __init__(self, text: str) -> None:
        # Splits at LF, CRLF and CR, and at nothing else that Unicode takes for a line's end.
        self._lines = enumerate(io.StringIO(text, newline=""), start=1)
        self.at_start = True
        self.began = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if self.at_start:
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                self.began, self.at_start = number, False
            return line
        raise StopIteration


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line on which it begins; the first one is the header."""
    lines = _Lines(text)
    header = next(lines, None)
    if header is None:
        return
    delimiter = ";" if header.count(";") > header.count(",") else ","
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.at_start = True
        try:
            fields = next(reader, None)
        except csv.Error as error:
            message = f"line {lines.began}: {error}"
            raise RejectedError(
                Code.MALFORMED, message, [Detail(lines.began, None, Code.MALFORMED, str(error))]
            ) from error
        if fields is None:
            return
        # A spreadsheet leaves rows of separators behind its table.
        if any(field.strip() for field in fields):
            yield lines.began, fields


def _bounded(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield as many rows as a file may have."""
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise RejectedError(Code.FILE_TOO_LARGE, f"the file has more than {MAX_ROWS:,} rows")
        yield row


def _columns(line: int, header: Sequence[str]) -> list[str]:
    """Return the header's columns by the names that we know them by."""
    if len(header) > MAX_COLUMNS:
        raise RejectedError(Code.BAD_HEADER, f"the header has {len(header)} columns; we know {len(COLUMNS)}")
    known = {name.lower(): name for name in COLUMNS}
    names = [" ".join(field.split()).lower() for field in header]
    details = [
        Detail(line, cut(name) or None, Code.BAD_HEADER, _header_problem(name, names, known), cut(name) or None)
        for index, name in enumerate(names)
        if name not in known or name in names[:index]
    ]
    missing = [column for column in REQUIRED if column.lower() not in names]
    if missing and len(missing) < len(REQUIRED):
        message = f"the file has no column {', '.join(missing)}"
        absent = [Detail(line, column, Code.COLUMN_MISSING, message) for column in missing]
        raise RejectedError(Code.COLUMN_MISSING, message, [*absent, *details])
    if missing:
        raise RejectedError(Code.BAD_HEADER, f"the first line is not a header; it needs {', '.join(REQUIRED)}", details)
    if details:
        raise RejectedError(Code.BAD_HEADER, details[0].message, details)
    return [known[name] for name in names]


def _header_problem(name: str, names: Sequence[str], known: dict[str, str]) -> str:
    if not name:
        return "a column has no name"
    if name in known:
        return f"the column {known[name]} is there {names.count(name)} times"
    close = get_close_matches(cut(name), known, n=1)
    meant = f"; is it {known[close[0]]}?" if close else f"; the columns are {', '.join(COLUMNS)}"
    return f"there is no column {cut(name)}{meant}"

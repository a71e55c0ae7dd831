"""The file itself: bytes become rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import islice

from closingbell.ledger.entries import NewPosition
from closingbell.ledger.uploads.errors import MOST_DETAILS, Code, Detail, RejectedError, cut
from closingbell.ledger.uploads.positions import COLUMNS, REQUIRED, Row

MAX_BYTES = 10 * 1024**2
MAX_ROWS = 20_000

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
    findings = _Findings()
    try:
        for line, fields in _bounded(records):
            if len(fields) != len(columns):
                message = f"the row has {len(fields)} cells, the header {len(columns)}"
                findings.add([Detail(line, None, Code.MALFORMED, message)])
                continue
            row = Row(dict(zip(columns, fields, strict=True)), line, today)
            position = row.read()
            if position is not None:
                positions.append(position)
            findings.add(row.details)
    except RejectedError as error:
        # Nothing can be read beyond this, but what was wrong before it still is.
        raise RejectedError(error.code, str(error), [*error.details, *findings.details]) from error
    findings.refuse()
    if not positions:
        raise RejectedError(Code.EMPTY, "the file has a header, but no rows")
    return tuple(positions)


class _Findings:
    """All that is wrong with the rows of a file: the first details, and how many there are."""

    def __init__(self) -> None:
        self.details: list[Detail] = []
        self._counts: Counter[bool] = Counter()

    def add(self, details: Sequence[Detail]) -> None:
        self.details += details[: MOST_DETAILS - len(self.details)]
        self._counts.update(detail.code is Code.MALFORMED for detail in details)

    def refuse(self) -> None:
        """Raise `RejectedError` if anything is wrong; a file with rows of another length is malformed."""
        if not self.details:
            return
        said = []
        if rows := self._counts[True]:
            said.append(f"{rows} {'rows are' if rows > 1 else 'row is'} not as long as the header")
        if cells := self._counts[False]:
            said.append(f"{cells} {'cells are' if cells > 1 else 'cell is'} wrong")
        first = self.details[0]
        place = f"line {first.row}" if first.column is None else f"line {first.row}, {first.column}"
        code = Code.MALFORMED if rows else Code.FILE_INVALID
        raise RejectedError(code, f"{' and '.join(said)}, the first in {place}: {first.message}", self.details)


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
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
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


def _delimiter(text: str) -> str:
    """Return the separator by which the header falls into more cells."""

    def width(delimiter: str) -> int:
        try:
            return len(next(csv.reader(_Lines(text), delimiter=delimiter, strict=True), []))
        except csv.Error:
            return 0

    return max(",", ";", key=width)


def _bounded(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield as many rows as a file may have."""
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise RejectedError(Code.FILE_TOO_LARGE, f"the file has more than {MAX_ROWS:,} rows")
        yield row


def _columns(line: int, header: Sequence[str]) -> list[str]:
    """Return the header's columns by the names that we know them by."""
    known = {name.lower(): name for name in COLUMNS}
    names = [" ".join(field.split()).lower() for field in header]
    # Not all of them: a header can have a million names, and each takes a while to compare.
    details = list(islice(_header_problems(line, names, known), MOST_DETAILS))
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


def _header_problems(line: int, names: Sequence[str], known: dict[str, str]) -> Iterator[Detail]:
    counts = Counter(names)
    free = [name for name in known if name not in counts]
    seen: set[str] = set()
    for name in names:
        if name not in known or name in seen:
            message = _header_problem(name, counts[name], known, free)
            yield Detail(line, cut(name) or None, Code.BAD_HEADER, message, cut(name) or None)
        seen.add(name)


def _header_problem(name: str, count: int, known: dict[str, str], free: Sequence[str]) -> str:
    if not name:
        return "a column has no name"
    if name in known:
        return f"the column {known[name]} is there {count} times"
    close = [each for each in free if each.startswith(name)] or get_close_matches(cut(name), free, n=1)
    meant = f"; is it {known[close[0]]}?" if close else f"; the columns are {', '.join(COLUMNS)}"
    return f"there is no column {cut(name)}{meant}"

"""The text of a file: bytes become records of cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from closingbell.ledger.uploads.errors import Code, Detail, RejectedError

MAX_BYTES = 10 * 1024**2

Record = tuple[int, list[str]]
"""The line on which a record begins, counted from 1, and its cells."""


def read_records(content: bytes) -> Iterator[Record]:
    """Yield the records of a file without comments, blank lines and rows of empty cells; the first is the header.

    Raises
    ------
    RejectedError
        If the file is too large, is not text, or breaks the CSV format.
    """
    text = _decoded(content)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    while True:
        lines.between_records = True
        try:
            fields = next(reader, None)
        except csv.Error as error:
            detail = Detail(lines.record_line, None, Code.MALFORMED, str(error))
            raise RejectedError(Code.MALFORMED, f"line {lines.record_line}: {error}", [detail]) from error
        if fields is None:
            return
        # Spreadsheets export rows of empty cells below a table.
        if any(field.strip() for field in fields):
            yield lines.record_line, fields


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise RejectedError(Code.FILE_TOO_LARGE, f"the file is larger than {MAX_BYTES // 1024**2} MB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RejectedError(Code.NOT_A_CSV, "the file is not UTF-8 text; export it as CSV UTF-8") from error
    if "\0" in text:
        raise RejectedError(Code.NOT_A_CSV, "the file is not text; export it as CSV UTF-8")
    return text


class _Lines:
    """Yields lines to the CSV reader, without the comments and blank lines between records.

    Such a line within a quoted cell belongs to the cell. The reader must not see comments, since a quote in one would
    open a cell.

    Attributes
    ----------
    between_records : bool
        Whether the next line begins a record, unless it is a comment or blank.
    record_line : int
        Number of the line on which the current record begins.
    """

    def __init__(self, text: str) -> None:
        # Splits at LF, CRLF and CR only, not at the other line ends of Unicode.
        self._lines = enumerate(io.StringIO(text, newline=""), start=1)
        self.between_records = True
        self.record_line = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if self.between_records:
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                self.record_line, self.between_records = number, False
            return line
        raise StopIteration


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the header into more cells."""

    def width(delimiter: str) -> int:
        try:
            return len(next(csv.reader(_Lines(text), delimiter=delimiter, strict=True), []))
        except csv.Error:
            return 0

    return max(",", ";", key=width)

"""A complete file: it becomes positions, or is rejected with all its errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from closingbell.ledger.entries import NewPosition
from closingbell.ledger.uploads.columns import COLUMNS
from closingbell.ledger.uploads.errors import MAX_DETAILS, Code, Detail, RejectedError
from closingbell.ledger.uploads.header import read_header
from closingbell.ledger.uploads.positions import Row
from closingbell.ledger.uploads.records import Record, read_records

MAX_ROWS = 20_000

TEMPLATE = f"""\
# One row per lot. Symbol, Quantity, Entry Price Per Share and Entry Date are required; a negative quantity is a short.
# An option may be written as its OCC symbol (AAPL230120C00150000), or with the four option columns as below.
{",".join(COLUMNS)}
AAPL,100,150.25,2022-01-14,PUBLIC,STOCK,,,,,,
IWM,-40,198.10,2022-03-01,PUBLIC,ETF,,,,,,
SPY_PUT,8,11.35,2022-08-15,OPTIONS,PUT,SPY,400,2023-06-16,PUT,,
ACME_SERIES_B,1000,25.00,2020-02-14,PRIVATE,PRIVATE_EQUITY,,,,,,
"""


def read_positions(content: bytes, *, today: date) -> tuple[NewPosition, ...]:
    """Read an uploaded file. If anything is wrong, reject all of it.

    The file is UTF-8, with or without a byte order mark, with commas or semicolons, quotes as in RFC 4180, and columns
    in any order and letter case. Lines that begin with ``#`` and blank lines are skipped.

    Parameters
    ----------
    content : bytes
    today : date
        Entry and exit dates after it are errors.

    Returns
    -------
    tuple of NewPosition
        In the order of the file. Equal rows are separate lots.

    Raises
    ------
    RejectedError
        With the errors of all cells in all rows.
    """
    records = read_records(content)
    header = next(records, None)
    if header is None:
        raise RejectedError(Code.EMPTY)
    columns = read_header(*header)
    positions, errors = _read_rows(records, columns, today)
    errors.reject()
    if not positions:
        raise RejectedError(Code.EMPTY, "the file has a header, but no rows")
    return tuple(positions)


class _Errors:
    """The errors of a file's rows: the first details, and how many there are."""

    def __init__(self) -> None:
        self.details: list[Detail] = []
        self._malformed_rows = 0
        self._bad_cells = 0

    def add(self, details: Sequence[Detail]) -> None:
        self.details += details[: MAX_DETAILS - len(self.details)]
        malformed = sum(detail.code is Code.MALFORMED for detail in details)
        self._malformed_rows += malformed
        self._bad_cells += len(details) - malformed

    def reject(self) -> None:
        """Raise `RejectedError` if there are errors; a file with a row of another length is malformed."""
        if not self.details:
            return
        counts = []
        if rows := self._malformed_rows:
            counts.append(f"{rows} {'rows are' if rows > 1 else 'row is'} not as long as the header")
        if cells := self._bad_cells:
            counts.append(f"{cells} {'cells are' if cells > 1 else 'cell is'} wrong")
        first = self.details[0]
        place = f"line {first.row}" if first.column is None else f"line {first.row}, {first.column}"
        code = Code.MALFORMED if rows else Code.FILE_INVALID
        raise RejectedError(code, f"{' and '.join(counts)}, the first in {place}: {first.message}", self.details)


def _read_rows(records: Iterator[Record], columns: Sequence[str], today: date) -> tuple[list[NewPosition], _Errors]:
    positions: list[NewPosition] = []
    errors = _Errors()
    try:
        for line, cells in _limited(records):
            if len(cells) != len(columns):
                message = f"the row has {len(cells)} cells, but the header has {len(columns)}"
                errors.add([Detail(line, None, Code.MALFORMED, message)])
                continue
            row = Row(dict(zip(columns, cells, strict=True)), line, today)
            position = row.read()
            if position is not None:
                positions.append(position)
            errors.add(row.cells.details)
    except RejectedError as error:
        # The file cannot be read beyond this error. The errors before it are reported with it.
        raise RejectedError(error.code, str(error), [*error.details, *errors.details]) from error
    return positions, errors


def _limited(records: Iterator[Record]) -> Iterator[Record]:
    """Yield at most `MAX_ROWS` records, and raise `RejectedError` at the next one."""
    for number, record in enumerate(records):
        if number >= MAX_ROWS:
            raise RejectedError(Code.FILE_TOO_LARGE, f"the file has more than {MAX_ROWS:,} rows")
        yield record

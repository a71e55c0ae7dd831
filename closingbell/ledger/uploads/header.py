"""The header of a file: its cells become the names of known columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice

from closingbell.ledger.uploads.columns import COLUMNS, REQUIRED
from closingbell.ledger.uploads.errors import MAX_DETAILS, Code, Detail, RejectedError, shortened


def read_header(line: int, cells: Sequence[str]) -> list[str]:
    """Return the columns of a file as `COLUMNS` spells them, in the order of the file.

    Raises
    ------
    RejectedError
        If a required column is missing, or a column is unknown or repeated.
    """
    known = {name.lower(): name for name in COLUMNS}
    names = [" ".join(cell.split()).lower() for cell in cells]
    # Limited while they are made: a header can have a million names, and finding similar ones takes time.
    details = list(islice(_problems(line, names, known), MAX_DETAILS))
    missing = [column for column in REQUIRED if column.lower() not in names]
    if missing and len(missing) < len(REQUIRED):
        message = f"the file has no column {', '.join(missing)}"
        absent = [Detail(line, column, Code.COLUMN_MISSING, message) for column in missing]
        raise RejectedError(Code.COLUMN_MISSING, message, [*absent, *details])
    if missing:
        message = f"the first line is not a header; the required columns are {', '.join(REQUIRED)}"
        raise RejectedError(Code.BAD_HEADER, message, details)
    if details:
        raise RejectedError(Code.BAD_HEADER, details[0].message, details)
    return [known[name] for name in names]


def _problems(line: int, names: Sequence[str], known: Mapping[str, str]) -> Iterator[Detail]:
    """Yield an error for each unknown name and each repetition."""
    counts = Counter(names)
    unused = [name for name in known if name not in counts]
    seen: set[str] = set()
    for name in names:
        if name not in known or name in seen:
            message = _problem(name, counts[name], known, unused)
            yield Detail(line, shortened(name) or None, Code.BAD_HEADER, message, shortened(name) or None)
        seen.add(name)


def _problem(name: str, count: int, known: Mapping[str, str], unused: Sequence[str]) -> str:
    if not name:
        return "a column has no name"
    if name in known:
        return f"the column {known[name]} occurs {count} times"
    similar = [other for other in unused if other.startswith(name)] or get_close_matches(shortened(name), unused, n=1)
    hint = f"did you mean {known[similar[0]]}?" if similar else f"the columns are {', '.join(COLUMNS)}"
    return f"the column {shortened(name)} is unknown; {hint}"

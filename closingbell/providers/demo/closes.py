"""Real closes, read out of the data files of the installed package skfolio."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from closingbell.arrays import Dates, Floats
from closingbell.errors import ConfigurationError
from closingbell.providers.demo.series import PRICE_DECIMALS, PROXY, REAL, Series
from closingbell.providers.demo.symbols import DEMO_STOCKS

_FILED: Mapping[str, tuple[str, str, float, str]] = {
    **{symbol: ("sp500_dataset", symbol, 1.0, REAL) for symbol in DEMO_STOCKS},
    **{symbol: ("factors_dataset", symbol, 1.0, REAL) for symbol in ("MTUM", "QUAL", "USMV")},
    "SPY": ("sp500_index", "SP500", 10.0, PROXY),
    "VTV": ("factors_dataset", "VLUE", 1.0, PROXY),
    "IWM": ("factors_dataset", "SIZE", 1.0, PROXY),
}
"""By symbol: the file and column of its closes, the divisor of the values, and their source."""

_REINSTALL = "Reinstall the package skfolio, or choose another provider with CLOSINGBELL_PROVIDER"


class FiledCloses:
    """The closes in skfolio's data files; each file is read once.

    Parameters
    ----------
    folder : Path or None
        Where the files lie; None: in the installed package.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._tables: dict[str, Mapping[str, tuple[Dates, Floats]]] = {}

    def series(self, symbol: str) -> Series:
        """Return a symbol's closes, without the sessions that have none.

        Raises
        ------
        ConfigurationError
            If the package, the file or its column is missing.
        """
        name, column, divisor, source = _FILED[symbol]
        if name not in self._tables:
            self._tables[name] = _read_table(self._file(name))
        if column not in self._tables[name]:
            raise ConfigurationError(f"{self._file(name)} has no column {column}", _REINSTALL)
        sessions, values = self._tables[name][column]
        known = np.isfinite(values)
        return Series(sessions[known], np.round(values[known] / divisor, PRICE_DECIMALS), source)

    def _file(self, name: str) -> Path:
        folder = self._folder or _skfolio_data()
        path = folder / f"{name}.csv.gz"
        if not path.is_file():
            raise ConfigurationError(f"the demo's price file {path} is missing", _REINSTALL)
        return path


def _skfolio_data() -> Path:
    """Locate skfolio's data files without importing it, which takes seconds."""
    spec = find_spec("skfolio")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the package skfolio, which contains the demo's prices, is missing", _REINSTALL)
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data"


def _read_table(path: Path) -> Mapping[str, tuple[Dates, Floats]]:
    """Read a table of closes: by column, its sessions and values, shape (T,) each; an empty cell is NaN."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header, *rows = (line.rstrip("\n").split(",") for line in file)
    sessions = np.array([row[0] for row in rows], dtype="datetime64[D]")
    values = np.array([[cell or "nan" for cell in row[1:]] for row in rows]).astype(np.float64)
    return {column: (sessions, values[:, index]) for index, column in enumerate(header[1:])}

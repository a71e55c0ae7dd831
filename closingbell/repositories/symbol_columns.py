"""Select the rows of N symbols from a fact table, and place their values in the columns of an array."""

from __future__ import annotations

import numpy as np

from closingbell.arrays import Bools, Ints

FEW_SYMBOLS = 200
"""Up to this many symbols are read through the index; for more, scanning the sessions is faster."""


class SymbolColumns:
    """The columns of N symbols.

    Parameters
    ----------
    symbol_ids : ndarray of int64, shape (N,), N > 0
        The symbol of each column.

    Attributes
    ----------
    condition : str
        SQL condition on ``symbol_id`` with one parameter. It may also select other symbols, which `locate` omits.
    parameter : list of int or int
        The value of that parameter.
    """

    def __init__(self, symbol_ids: Ints) -> None:
        last = int(symbol_ids.max())
        few = len(symbol_ids) <= FEW_SYMBOLS
        self.condition = "symbol_id = ANY(%s)" if few else "symbol_id <= %s"
        self.parameter: list[int] | int = symbol_ids.tolist() if few else last
        self._column_of = np.full(last + 1, -1, dtype=np.int64)
        self._column_of[symbol_ids] = np.arange(len(symbol_ids))

    def locate(self, symbol_ids: Ints) -> tuple[Ints, Bools]:
        """Return the columns of the selected symbols that have one, shape (R,), and the mask of these, shape (M,)."""
        columns = self._column_of[symbol_ids]
        requested = columns >= 0
        return columns[requested], requested

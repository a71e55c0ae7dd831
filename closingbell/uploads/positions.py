"""Rows of an uploaded file become positions of a ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TypeVar

from closingbell.ledger import OPTIONS, PRIVATE, PUBLIC, NewPosition
from closingbell.occ import OptionContract, format_occ, parse_occ
from closingbell.uploads.cells import BadCell, NumberRule, read_any_date, read_date, read_number, read_symbol
from closingbell.uploads.errors import Code, Detail, RejectedError, cut

SYMBOL, QUANTITY, PRICE, ENTRY = "Symbol", "Quantity", "Entry Price Per Share", "Entry Date"
CLASS, SUBTYPE = "Investment Class", "Investment Subtype"
UNDERLYING, STRIKE, EXPIRATION, OPTION_TYPE = "Underlying Symbol", "Strike Price", "Expiration Date", "Option Type"
EXIT, EXIT_PRICE = "Exit Date", "Exit Price Per Share"

REQUIRED = (SYMBOL, QUANTITY, PRICE, ENTRY)
OPTION_COLUMNS = (UNDERLYING, STRIKE, EXPIRATION, OPTION_TYPE)
COLUMNS = (*REQUIRED, CLASS, SUBTYPE, *OPTION_COLUMNS, EXIT, EXIT_PRICE)

SUBTYPES = {
    PUBLIC: ("STOCK", "ETF", "MUTUAL_FUND", "BOND", "CASH"),
    OPTIONS: ("CALL", "PUT"),
    PRIVATE: (
        *("PRIVATE_EQUITY", "VENTURE_CAPITAL", "HEDGE_FUND", "PRIVATE_REIT", "REAL_ESTATE", "CRYPTOCURRENCY", "CRYPTO"),
        *("ART", "MONEY_MARKET", "TREASURY_BILLS", "CASH", "COMMODITY", "OTHER"),
    ),
}

_QUANTITY_RULE = NumberRule(
    missing=Code.QUANTITY_MISSING,
    not_a_number=Code.QUANTITY_NOT_A_NUMBER,
    sign=Code.QUANTITY_ZERO,
    decimals=Code.QUANTITY_DECIMALS,
    places=6,
    below=Decimal(10) ** 12,
    minimum="nonzero",
)
_PRICE_RULE = NumberRule(
    missing=Code.PRICE_MISSING,
    not_a_number=Code.PRICE_NOT_A_NUMBER,
    sign=Code.PRICE_NOT_POSITIVE,
    decimals=Code.PRICE_DECIMALS,
    places=4,
    below=Decimal(10) ** 10,
    minimum="positive",
)
_EXIT_RULE = NumberRule(
    missing=Code.EXIT_PRICE,
    not_a_number=Code.EXIT_PRICE,
    sign=Code.EXIT_PRICE,
    decimals=Code.EXIT_PRICE,
    places=4,
    below=Decimal(10) ** 10,
    minimum="zero",
)
_STRIKE_RULE = NumberRule(
    missing=Code.STRIKE_MISSING,
    not_a_number=Code.STRIKE_MISSING,
    sign=Code.STRIKE_MISSING,
    decimals=Code.STRIKE_MISSING,
    places=3,
    below=Decimal(10) ** 5,
    minimum="positive",
)
_CALLS = {"C": True, "CALL": True, "P": False, "PUT": False}

T = TypeVar("T")


def read_position(cells: Mapping[str, str | None], *, today: date) -> NewPosition:
    """Read one row by the rules of the file.

    Parameters
    ----------
    cells : mapping of str to str or None
        By column, as `COLUMNS` names them.
    today : date
        No entry and no exit lies after it.

    Raises
    ------
    RejectedError
        With every cell that is wrong.
    """
    row = Row(cells, None, today)
    position = row.read()
    if position is None:
        raise RejectedError(row.details[0].code, "; ".join(detail.message for detail in row.details), row.details)
    return position


class Row:
    """One row: reads every cell, and remembers all that are wrong.

    Parameters
    ----------
    cells : mapping of str to str or None
        By column.
    line : int or None
        Where the row begins in its file.
    today : date
    """

    def __init__(self, cells: Mapping[str, str | None], line: int | None, today: date) -> None:
        self._cells = cells
        self._line = line
        self._today = today
        self.details: list[Detail] = []

    def read(self) -> NewPosition | None:
        """Return the position, or None when a cell is wrong."""
        named = self._text(SYMBOL)
        contract = parse_occ(named) if named.isascii() else None
        symbol = contract.symbol if contract else self._cell(SYMBOL, read_symbol)
        quantity = self._cell(QUANTITY, lambda text: read_number(text, _QUANTITY_RULE))
        price = self._cell(PRICE, lambda text: read_number(text, _PRICE_RULE))
        entry = self._cell(ENTRY, lambda text: read_date(text, self._today))
        exit_date, exit_price = self._exit(entry)
        held = self._class(symbol or "", is_contract=contract is not None)
        if held == OPTIONS:
            contract = self._contract(contract, entry)
        subtype = self._subtype(held, contract)
        if self.details or symbol is None or quantity is None or price is None or entry is None or held is None:
            return None
        position = NewPosition(symbol, quantity, price, entry, held, subtype, exit_date, exit_price)
        return position if contract is None else replace(position, symbol=contract.symbol, contract=contract)

    def _text(self, column: str) -> str:
        return (self._cells.get(column) or "").strip()

    def _cell(self, column: str, read: Callable[[str], T]) -> T | None:
        with self._remembered(column):
            return read(self._text(column))
        return None

    @contextmanager
    def _remembered(self, column: str) -> Iterator[None]:
        try:
            yield
        except BadCell as bad:
            self.details.append(Detail(self._line, column, bad.code, str(bad), cut(self._text(column)) or None))

    def _exit(self, entry: date | None) -> tuple[date | None, Decimal | None]:
        if not self._text(EXIT):
            with self._remembered(EXIT_PRICE):
                if self._text(EXIT_PRICE):
                    raise BadCell(Code.EXIT_PRICE, "there is an exit price, but no exit date")
            return None, None
        day = self._cell(EXIT, lambda text: read_date(text, self._today))
        with self._remembered(EXIT):
            if day is not None and entry is not None and day < entry:
                raise BadCell(Code.EXIT_BEFORE_ENTRY)
        return day, self._cell(EXIT_PRICE, lambda text: read_number(text, _EXIT_RULE))

    def _class(self, symbol: str, *, is_contract: bool) -> str | None:
        """Return the class that is given, or the one that the row speaks of."""
        derived = PRIVATE if "_" in symbol else PUBLIC
        if is_contract or any(self._text(column) for column in OPTION_COLUMNS):
            derived = OPTIONS
        given = self._text(CLASS).upper()
        with self._remembered(CLASS):
            if given and given not in SUBTYPES:
                raise BadCell(Code.CLASS, f"the class is one of {', '.join(SUBTYPES)}")
            if is_contract and given not in {"", OPTIONS}:
                raise BadCell(Code.CLASS, "the symbol is an option's")
            if given == PUBLIC and derived == PRIVATE:
                raise BadCell(Code.CLASS, "a symbol with an underscore is a private asset")
            if given not in {"", OPTIONS} and derived == OPTIONS:
                raise BadCell(Code.CLASS, "the option columns are those of OPTIONS")
            return given or derived
        return None

    def _subtype(self, held: str | None, contract: OptionContract | None) -> str | None:
        given = self._text(SUBTYPE).upper()
        with self._remembered(SUBTYPE):
            if held is not None and given and given not in SUBTYPES[held]:
                raise BadCell(Code.SUBTYPE, f"a subtype of {held} is one of {', '.join(SUBTYPES[held])}")
            if contract is not None:
                kind = "CALL" if contract.is_call else "PUT"
                if given and given != kind:
                    raise BadCell(Code.SUBTYPE, f"the option is a {kind}")
                return kind
        return given or None

    def _contract(self, named: OptionContract | None, entry: date | None) -> OptionContract | None:
        """Return the contract that the symbol names, or that the four columns describe; both must agree."""
        described = self._described(required=named is None)
        contract = named or described
        if contract is None:
            return None
        if named is not None:
            self._require_agreement(named)
        with self._remembered(EXPIRATION):
            if entry is not None and entry > contract.expiration:
                raise BadCell(Code.EXPIRATION_MISSING, "the option was bought after it had expired")
        return contract

    def _described(self, *, required: bool) -> OptionContract | None:
        """Read the four columns of an option, those that are filled or, where they are needed, all."""
        before = len(self.details)

        def cell(column: str, read: Callable[[str], T]) -> T | None:
            return self._cell(column, read) if required or self._text(column) else None

        underlying = cell(UNDERLYING, lambda text: read_symbol(text, Code.UNDERLYING_MISSING))
        strike = cell(STRIKE, lambda text: read_number(text, _STRIKE_RULE))
        expiration = cell(
            EXPIRATION, lambda text: read_any_date(text, Code.EXPIRATION_MISSING, Code.EXPIRATION_MISSING)
        )
        is_call = cell(OPTION_TYPE, _read_option_type)
        if not required or len(self.details) > before:
            return None
        assert underlying is not None  # noqa: S101 - no detail: all four were read
        assert strike is not None  # noqa: S101
        assert expiration is not None  # noqa: S101
        assert is_call is not None  # noqa: S101
        try:
            symbol = format_occ(underlying, expiration, is_call=is_call, strike=strike)
        except ValueError as error:
            column = EXPIRATION if expiration.year // 100 != 20 else UNDERLYING
            code = Code.EXPIRATION_MISSING if column == EXPIRATION else Code.UNDERLYING_MISSING
            self.details.append(Detail(self._line, column, code, str(error), cut(self._text(column))))
            return None
        return OptionContract(symbol, underlying, expiration, is_call, strike)

    def _require_agreement(self, named: OptionContract) -> None:
        facts: dict[str, tuple[Code, Callable[[str], bool]]] = {
            UNDERLYING: (Code.UNDERLYING_MISSING, lambda text: text.upper() == named.underlying),
            STRIKE: (Code.STRIKE_MISSING, lambda text: read_number(text, _STRIKE_RULE) == named.strike),
            EXPIRATION: (Code.EXPIRATION_MISSING, lambda text: text == named.expiration.isoformat()),
            OPTION_TYPE: (Code.OPTION_TYPE_MISSING, lambda text: _CALLS.get(text.upper()) is named.is_call),
        }
        wrong = {detail.column for detail in self.details}
        for column, (code, agrees) in facts.items():
            text = self._text(column)
            with self._remembered(column):
                if text and column not in wrong and not agrees(text):
                    raise BadCell(code, f"the symbol {named.symbol} says otherwise")


def _read_option_type(text: str) -> bool:
    is_call = _CALLS.get(text.upper())
    if is_call is None:
        raise BadCell(Code.OPTION_TYPE_MISSING, "the option type is CALL or PUT")
    return is_call

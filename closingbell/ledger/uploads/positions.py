"""Rows of an uploaded file become positions of a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import TypeVar

from closingbell.ledger.entries import OPTIONS, PRIVATE, PUBLIC, NewPosition
from closingbell.ledger.uploads.cells import (
    BadCell,
    NumberRule,
    read_any_date,
    read_date,
    read_number,
    read_past_date,
    read_symbol,
)
from closingbell.ledger.uploads.errors import Code, Detail, RejectedError, cut
from closingbell.market.instruments import OptionContract
from closingbell.market.occ import format_occ, parse_occ

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
    too_large=Code.QUANTITY_NOT_A_NUMBER,
    decimals=Code.QUANTITY_DECIMALS,
    places=6,
    largest=Decimal("999999999999.999999"),
    minimum="nonzero",
)
_PRICE_RULE = NumberRule(
    missing=Code.PRICE_MISSING,
    not_a_number=Code.PRICE_NOT_A_NUMBER,
    sign=Code.PRICE_NOT_POSITIVE,
    too_large=Code.PRICE_NOT_A_NUMBER,
    decimals=Code.PRICE_DECIMALS,
    places=4,
    largest=Decimal("9999999999.9999"),
    minimum="positive",
)
_EXIT_RULE = NumberRule(
    missing=Code.EXIT_PRICE,
    not_a_number=Code.EXIT_PRICE,
    sign=Code.EXIT_PRICE,
    too_large=Code.EXIT_PRICE,
    decimals=Code.EXIT_PRICE,
    places=6,
    largest=Decimal("9999999999.999999"),
    minimum="zero",
)
_STRIKE_RULE = NumberRule(
    missing=Code.STRIKE_MISSING,
    not_a_number=Code.STRIKE_MISSING,
    sign=Code.STRIKE_MISSING,
    too_large=Code.STRIKE_MISSING,
    decimals=Code.STRIKE_MISSING,
    places=3,
    largest=Decimal("99999.999"),
    minimum="positive",
)
_CALLS = {"C": True, "CALL": True, "P": False, "PUT": False}

MAX_COST = Decimal(10) ** 12
"""Of a lot, as much as a portfolio's equity may be: what it is worth later has room in the cents that are counted."""

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
        contract = parse_occ(self._text(SYMBOL))
        symbol = contract.symbol if contract else self._cell(SYMBOL, read_symbol)
        quantity = self._cell(QUANTITY, lambda text: read_number(text, _QUANTITY_RULE))
        price = self._cell(PRICE, lambda text: read_number(text, _PRICE_RULE))
        if quantity is not None and price is not None and abs(quantity * price) > MAX_COST:
            self._remember(QUANTITY, Code.QUANTITY_NOT_A_NUMBER, f"a lot costs at most {MAX_COST:,f}")
        entry = self._cell(ENTRY, lambda text: read_date(text, self._today))
        exit_date, exit_price = self._exit(entry)
        derived = self._derived_class(symbol or "", is_contract=contract is not None)
        held = self._cell(CLASS, lambda text: _read_class(text, derived))
        if held == OPTIONS:
            contract = self._contract(contract, entry)
        subtype = self._cell(SUBTYPE, lambda text: _read_subtype(text, held, contract))
        if self.details or symbol is None or quantity is None or price is None or entry is None or held is None:
            return None
        name = contract.symbol if contract else symbol
        return NewPosition(
            name, quantity, price, entry, held, subtype, exit_date=exit_date, exit_price=exit_price, contract=contract
        )

    def _text(self, column: str) -> str:
        return (self._cells.get(column) or "").strip()

    def _cell(self, column: str, read: Callable[[str], T]) -> T | None:
        text = self._text(column)
        try:
            return read(text)
        except BadCell as bad:
            self._remember(column, bad.code, str(bad))
            return None

    def _remember(self, column: str, code: Code, message: str) -> None:
        self.details.append(Detail(self._line, column, code, message, cut(self._text(column)) or None))

    def _exit(self, entry: date | None) -> tuple[date | None, Decimal | None]:
        if not self._text(EXIT):
            if self._text(EXIT_PRICE):
                self._remember(EXIT_PRICE, Code.EXIT_PRICE, "there is an exit price, but no exit date")
            return None, None
        day = self._cell(EXIT, lambda text: read_past_date(text, self._today))
        if day is not None and entry is not None and day < entry:
            self._remember(EXIT, Code.EXIT_BEFORE_ENTRY, Code.EXIT_BEFORE_ENTRY.meaning)
        return day, self._cell(EXIT_PRICE, lambda text: read_number(text, _EXIT_RULE))

    def _derived_class(self, symbol: str, *, is_contract: bool) -> str:
        """Return the class that the row speaks of, whatever it is given."""
        if is_contract or any(self._text(column) for column in OPTION_COLUMNS):
            return OPTIONS
        return PRIVATE if "_" in symbol else PUBLIC

    def _contract(self, named: OptionContract | None, entry: date | None) -> OptionContract | None:
        """Return the contract that the symbol names, or that the four columns describe; both must agree."""
        if named is not None:
            self._require_agreement(named)
        contract = named or self._described()
        if contract is not None and entry is not None and entry > contract.expiration:
            self._remember(EXPIRATION, Code.EXPIRATION_MISSING, "the option was bought after it had expired")
        return contract

    def _described(self) -> OptionContract | None:
        """Return the contract that the four columns describe."""
        underlying = self._cell(UNDERLYING, _read_underlying)
        strike = self._cell(STRIKE, _read_strike)
        expiration = self._cell(EXPIRATION, _read_expiration)
        is_call = self._cell(OPTION_TYPE, _read_option_type)
        if underlying is None or strike is None or expiration is None or is_call is None:
            return None
        try:
            symbol = format_occ(underlying, expiration, is_call=is_call, strike=strike)
        except ValueError as error:
            # The strike has been held to what the format can say; the other two have not.
            if expiration.year // 100 != 20:
                self._remember(EXPIRATION, Code.EXPIRATION_MISSING, str(error))
            else:
                self._remember(UNDERLYING, Code.UNDERLYING_MISSING, str(error))
            return None
        return OptionContract(symbol, underlying, expiration, is_call, strike)

    def _require_agreement(self, named: OptionContract) -> None:
        """Remember each of the four columns that is filled and says something else than the symbol."""
        facts: tuple[tuple[str, Callable[[str], object], object, Code], ...] = (
            (UNDERLYING, _read_underlying, named.underlying, Code.UNDERLYING_MISSING),
            (STRIKE, _read_strike, named.strike, Code.STRIKE_MISSING),
            (EXPIRATION, _read_expiration, named.expiration, Code.EXPIRATION_MISSING),
            (OPTION_TYPE, _read_option_type, named.is_call, Code.OPTION_TYPE_MISSING),
        )
        for column, read, fact, code in facts:
            if self._text(column):
                said = self._cell(column, read)
                if said is not None and said != fact:
                    self._remember(column, code, f"the symbol {named.symbol} says otherwise")


_CONTRADICTIONS = {
    (PUBLIC, OPTIONS): "the symbol or the option columns are an option's",
    (PRIVATE, OPTIONS): "the symbol or the option columns are an option's",
    (PUBLIC, PRIVATE): "a symbol with an underscore is a private asset",
}
"""Of the class that is given and the one that the row speaks of; what is not here is the user's choice."""


def _read_class(text: str, derived: str) -> str:
    """Return the class that is given, or the one that the row speaks of."""
    given = text.upper() or derived
    if given not in SUBTYPES:
        raise BadCell(Code.CLASS, f"the class is one of {', '.join(SUBTYPES)}")
    if (given, derived) in _CONTRADICTIONS:
        raise BadCell(Code.CLASS, _CONTRADICTIONS[given, derived])
    return given


def _read_subtype(text: str, held: str | None, contract: OptionContract | None) -> str | None:
    """Return the subtype that is given; that of an option follows from its contract."""
    given = text.upper()
    if held is not None and given and given not in SUBTYPES[held]:
        raise BadCell(Code.SUBTYPE, f"a subtype of {held} is one of {', '.join(SUBTYPES[held])}")
    if held != OPTIONS or contract is None:
        return given or None
    kind = "CALL" if contract.is_call else "PUT"
    if given not in {"", kind}:
        raise BadCell(Code.SUBTYPE, f"the option is a {kind}")
    return kind


def _read_underlying(text: str) -> str:
    try:
        return read_symbol(text)
    except BadCell as bad:
        # One code for the column, whatever is wrong with it.
        raise BadCell(Code.UNDERLYING_MISSING, str(bad) if text else "") from bad


def _read_strike(text: str) -> Decimal:
    return read_number(text, _STRIKE_RULE)


def _read_expiration(text: str) -> date:
    return read_any_date(text, Code.EXPIRATION_MISSING, Code.EXPIRATION_MISSING)


def _read_option_type(text: str) -> bool:
    is_call = _CALLS.get(text.upper())
    if is_call is None:
        raise BadCell(Code.OPTION_TYPE_MISSING, "the option type is CALL or PUT")
    return is_call

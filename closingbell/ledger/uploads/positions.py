"""The rules of a row: its cells become a position of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal

from closingbell.ledger.entries import OPTIONS, PRIVATE, PUBLIC, NewPosition
from closingbell.ledger.uploads.cells import (
    MAX_AGE_YEARS,
    MAX_AMOUNT,
    BadCell,
    CellReader,
    NumberRule,
    read_date,
    read_number,
    read_symbol,
)
from closingbell.ledger.uploads.columns import (
    CLASS,
    ENTRY,
    EXIT,
    EXIT_PRICE,
    EXPIRATION,
    OPTION_COLUMNS,
    OPTION_TYPE,
    PRICE,
    QUANTITY,
    STRIKE,
    SUBTYPE,
    SYMBOL,
    UNDERLYING,
)
from closingbell.ledger.uploads.errors import Code
from closingbell.market.instruments import OptionContract
from closingbell.market.occ import format_occ, parse_occ

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
    wrong_sign=Code.QUANTITY_ZERO,
    too_large=Code.QUANTITY_NOT_A_NUMBER,
    decimals=Code.QUANTITY_DECIMALS,
    places=6,
    largest=Decimal("999999999999.999999"),
    sign="nonzero",
)
_PRICE_RULE = NumberRule(
    missing=Code.PRICE_MISSING,
    not_a_number=Code.PRICE_NOT_A_NUMBER,
    wrong_sign=Code.PRICE_NOT_POSITIVE,
    too_large=Code.PRICE_NOT_A_NUMBER,
    decimals=Code.PRICE_DECIMALS,
    places=4,
    largest=Decimal("9999999999.9999"),
    sign="positive",
)
_EXIT_RULE = NumberRule.with_one_code(
    Code.EXIT_PRICE, places=6, largest=Decimal("9999999999.999999"), sign="nonnegative"
)
_STRIKE_RULE = NumberRule.with_one_code(Code.STRIKE_MISSING, places=3, largest=Decimal("99999.999"), sign="positive")
_CALLS = {"C": True, "CALL": True, "P": False, "PUT": False}


def read_position(cells: Mapping[str, str | None], *, today: date) -> NewPosition:
    """Read one row by the rules of the file.

    Parameters
    ----------
    cells : mapping of str to str or None
        By column, one of `COLUMNS`.
    today : date
        Entry and exit dates after it are errors.

    Raises
    ------
    RejectedError
        If cells are wrong; the details name all of them.
    """
    row = Row(cells, None, today)
    position = row.read()
    if position is None:
        raise row.cells.rejection()
    return position


class Row:
    """Reads one row of a file and collects the errors of all its cells.

    Parameters
    ----------
    cells : mapping of str to str or None
        By column.
    line : int or None
        Line of the file on which the row begins; None for a row that is in no file.
    today : date
    """

    def __init__(self, cells: Mapping[str, str | None], line: int | None, today: date) -> None:
        self.cells = CellReader(cells, line)
        self._today = today

    def read(self) -> NewPosition | None:
        """Return the position, or None if a cell is wrong."""
        cells = self.cells
        contract = parse_occ(cells.text(SYMBOL))
        symbol = contract.symbol if contract else cells.read(SYMBOL, read_symbol)
        quantity = cells.read(QUANTITY, lambda text: read_number(text, _QUANTITY_RULE))
        price = cells.read(PRICE, lambda text: read_number(text, _PRICE_RULE))
        if quantity is not None and price is not None and abs(quantity * price) > MAX_AMOUNT:
            cells.reject(QUANTITY, Code.QUANTITY_NOT_A_NUMBER, f"a lot costs at most {MAX_AMOUNT:,f}")
        entry = cells.read(ENTRY, lambda text: read_date(text, today=self._today, max_years=MAX_AGE_YEARS))
        exit_date, exit_price = self._exit(entry)
        implied = self._implied_class(symbol or "", is_contract=contract is not None)
        asset_class = cells.read(CLASS, lambda text: _read_class(text, implied))
        if asset_class == OPTIONS:
            contract = self._contract(contract, entry)
        subtype = cells.read(SUBTYPE, lambda text: _read_subtype(text, asset_class, contract))
        if cells.details or symbol is None or quantity is None or price is None or entry is None or asset_class is None:
            return None
        return NewPosition(
            symbol=contract.symbol if contract else symbol,
            quantity=quantity,
            entry_price=price,
            entry_date=entry,
            investment_class=asset_class,
            investment_subtype=subtype,
            exit_date=exit_date,
            exit_price=exit_price,
            contract=contract,
        )

    def _exit(self, entry: date | None) -> tuple[date | None, Decimal | None]:
        cells = self.cells
        if not cells.text(EXIT):
            if cells.text(EXIT_PRICE):
                cells.reject(EXIT_PRICE, Code.EXIT_PRICE, "there is an exit price, but no exit date")
            return None, None
        day = cells.read(EXIT, lambda text: read_date(text, today=self._today))
        if day is not None and entry is not None and day < entry:
            cells.reject(EXIT, Code.EXIT_BEFORE_ENTRY, Code.EXIT_BEFORE_ENTRY.meaning)
        return day, cells.read(EXIT_PRICE, lambda text: read_number(text, _EXIT_RULE))

    def _implied_class(self, symbol: str, *, is_contract: bool) -> str:
        """Return the class that follows from the symbol and the option columns."""
        if is_contract or any(self.cells.text(column) for column in OPTION_COLUMNS):
            return OPTIONS
        return PRIVATE if "_" in symbol else PUBLIC

    def _contract(self, named: OptionContract | None, entry: date | None) -> OptionContract | None:
        """Return the contract that the symbol names, or else the option columns; if both do, they must agree."""
        if named is not None:
            self._require_agreement(named)
        contract = named or self._described_contract()
        if contract is not None and entry is not None and entry > contract.expiration:
            self.cells.reject(EXPIRATION, Code.EXPIRATION_MISSING, "the entry date is after the expiration date")
        return contract

    def _described_contract(self) -> OptionContract | None:
        """Return the contract that the option columns describe."""
        underlying = self.cells.read(UNDERLYING, _read_underlying)
        strike = self.cells.read(STRIKE, _read_strike)
        expiration = self.cells.read(EXPIRATION, _read_expiration)
        is_call = self.cells.read(OPTION_TYPE, _read_option_type)
        if underlying is None or strike is None or expiration is None or is_call is None:
            return None
        try:
            symbol = format_occ(underlying, expiration, is_call=is_call, strike=strike)
        except ValueError as error:
            # The strike has been checked against the format; the expiration and the underlying have not.
            if expiration.year // 100 != 20:
                self.cells.reject(EXPIRATION, Code.EXPIRATION_MISSING, str(error))
            else:
                self.cells.reject(UNDERLYING, Code.UNDERLYING_MISSING, str(error))
            return None
        return OptionContract(symbol, underlying, expiration, is_call, strike)

    def _require_agreement(self, named: OptionContract) -> None:
        """Reject each option column that is filled and contradicts the symbol."""
        facts: tuple[tuple[str, Callable[[str], object], object, Code], ...] = (
            (UNDERLYING, _read_underlying, named.underlying, Code.UNDERLYING_MISSING),
            (STRIKE, _read_strike, named.strike, Code.STRIKE_MISSING),
            (EXPIRATION, _read_expiration, named.expiration, Code.EXPIRATION_MISSING),
            (OPTION_TYPE, _read_option_type, named.is_call, Code.OPTION_TYPE_MISSING),
        )
        for column, read, fact, code in facts:
            if self.cells.text(column):
                value = self.cells.read(column, read)
                if value is not None and value != fact:
                    self.cells.reject(column, code, f"the cell contradicts the symbol {named.symbol}")


_CONTRADICTIONS = {
    (PUBLIC, OPTIONS): "the symbol or the option columns describe an option",
    (PRIVATE, OPTIONS): "the symbol or the option columns describe an option",
    (PUBLIC, PRIVATE): "a symbol with an underscore is a private asset",
}
"""By given and implied class. All other combinations are allowed."""


def _read_class(text: str, implied: str) -> str:
    """Return the given class, or else the implied one."""
    given = text.upper() or implied
    if given not in SUBTYPES:
        raise BadCell(Code.CLASS, f"the class is one of {', '.join(SUBTYPES)}")
    if (given, implied) in _CONTRADICTIONS:
        raise BadCell(Code.CLASS, _CONTRADICTIONS[given, implied])
    return given


def _read_subtype(text: str, asset_class: str | None, contract: OptionContract | None) -> str | None:
    """Return the given subtype; an option's subtype follows from its contract."""
    given = text.upper()
    if asset_class is not None and given and given not in SUBTYPES[asset_class]:
        raise BadCell(Code.SUBTYPE, f"a subtype of {asset_class} is one of {', '.join(SUBTYPES[asset_class])}")
    if asset_class != OPTIONS or contract is None:
        return given or None
    kind = "CALL" if contract.is_call else "PUT"
    if given not in {"", kind}:
        raise BadCell(Code.SUBTYPE, f"the option is a {kind}")
    return kind


def _read_underlying(text: str) -> str:
    try:
        return read_symbol(text)
    except BadCell as bad:
        # All errors of this column have the same code.
        raise BadCell(Code.UNDERLYING_MISSING, str(bad) if text else "") from bad


def _read_strike(text: str) -> Decimal:
    return read_number(text, _STRIKE_RULE)


def _read_expiration(text: str) -> date:
    return read_date(text, missing=Code.EXPIRATION_MISSING, malformed=Code.EXPIRATION_MISSING)


def _read_option_type(text: str) -> bool:
    is_call = _CALLS.get(text.upper())
    if is_call is None:
        raise BadCell(Code.OPTION_TYPE_MISSING, "the option type is CALL or PUT")
    return is_call

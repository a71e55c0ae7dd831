"""Uploaded files and forms: what is read, and what is rejected with which code."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from time import process_time
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.ledger.entries import NewPosition
from closingbell.ledger.uploads import (
    COLUMN_OF_FIELD,
    COLUMNS,
    FIELD_OF_COLUMN,
    MAX_BYTES,
    MAX_ROWS,
    TEMPLATE,
    Code,
    PortfolioForm,
    RejectedError,
    canonical_symbol,
    check_form,
    read_position,
    read_positions,
)
from closingbell.market.instruments import OptionContract
from closingbell.market.occ import format_occ

TODAY = date(2026, 11, 24)
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date"
ROW = "AAPL,100,150.25,2022-01-14"
APPLE = NewPosition("AAPL", Decimal(100), Decimal("150.25"), date(2022, 1, 14), "PUBLIC", None)

OCC = "AAPL230120C00150000"
CONTRACT = OptionContract(OCC, "AAPL", date(2023, 1, 20), is_call=True, strike=Decimal(150))
CALL = NewPosition(OCC, Decimal(-2), Decimal("4.5"), date(2022, 1, 14), "OPTIONS", "CALL", contract=CONTRACT)


def read(text: str) -> tuple[NewPosition, ...]:
    return read_positions(text.encode(), today=TODAY)


def rejection(content: bytes | str) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        read_positions(content.encode() if isinstance(content, str) else content, today=TODAY)
    return caught.value


def row_of(**cells: str) -> str:
    """Return a file of one row, valid except for the given cells, whose columns are named without spaces."""
    by_column = {"Symbol": "AAPL", "Quantity": "100", "Entry Price Per Share": "150.25", "Entry Date": "2022-01-14"}
    by_column |= {next(c for c in COLUMNS if c.replace(" ", "") == name): value for name, value in cells.items()}
    output = io.StringIO()
    writer = csv.DictWriter(output, list(by_column))
    writer.writeheader()
    writer.writerow(by_column)
    return output.getvalue()


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROW}\n",
        f"{HEADER}\n{ROW}",
        f"\ufeff{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        f"{HEADER}\r{ROW}\r",
        f"{HEADER}\n{ROW}\n".replace(",", ";"),
        f"# exported 'today\" from a spreadsheet\n\n{HEADER}\n\n  # a comment\n{ROW}\n,,,\n   \n",
        "entry date,SYMBOL, quantity ,Entry  Price Per Share\n2022-01-14,aapl, 100 ,150.25\n",
        'Symbol,Quantity,"Entry Price Per Share",Entry Date\n"AAPL","100","150.25","2022-01-14"\n',
        f"{HEADER},Investment Class,Investment Subtype,Exit Date\n{ROW},,,\n",
        '"Entry\nDate";Symbol;Quantity;"Entry Price\nPer Share"\n2022-01-14;AAPL;100;150.25\n',
    ],
    ids=[
        *("plain", "no last newline", "bom", "crlf", "cr", "semicolons", "comments", "order", "quotes", "empty cells"),
        "wrapped header",
    ],
)
def test_a_file_is_read_in_every_common_dialect(text: str) -> None:
    assert read(text) == (APPLE,)


def test_a_cell_may_hold_separators_newlines_and_what_looks_like_a_comment() -> None:
    error = rejection(f'{HEADER}\n"AA\n# no comment, but ""a cell""\nPL",100,150.25,2022-01-14\nMSFT,x,1,2022-01-14\n')
    assert [(detail.row, detail.code) for detail in error.details] == [
        (2, Code.SYMBOL_CHARACTERS),
        (5, Code.QUANTITY_NOT_A_NUMBER),
    ]
    assert error.details[0].value == 'AA\n# no comment, but "a cell"\nPL'


def test_equal_rows_are_two_lots() -> None:
    assert read(f"{HEADER}\n{ROW}\n{ROW}\n") == (APPLE, APPLE)


def test_the_template_can_be_uploaded_as_it_is() -> None:
    held = read(TEMPLATE)
    assert [(position.symbol, position.position_type) for position in held] == [
        ("AAPL", "LONG"),
        ("IWM", "SHORT"),
        ("SPY230616P00400000", "LP"),
        ("ACME_SERIES_B", "LONG"),
    ]


def test_a_file_of_the_most_rows_is_read_and_one_row_more_is_rejected() -> None:
    assert len(read(f"{HEADER}\n" + f"{ROW}\n" * MAX_ROWS)) == MAX_ROWS
    assert rejection(f"{HEADER}\n" + f"{ROW}\n" * (MAX_ROWS + 1)).code == Code.FILE_TOO_LARGE


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_rejected() -> None:
    text = f"{HEADER}\n{ROW}\n#"
    largest = (text + "x" * (MAX_BYTES - len(text))).encode()
    assert read_positions(largest, today=TODAY) == (APPLE,)
    assert rejection(largest + b"x").code == Code.FILE_TOO_LARGE


FILES = [
    (b"", Code.EMPTY),
    (b"\n\n# nothing\n", Code.EMPTY),
    (HEADER.encode(), Code.EMPTY),
    (b"\xff\xfe\x00A", Code.NOT_A_CSV),
    (b"PK\x03\x04\x00\x00", Code.NOT_A_CSV),
    (b"\x89PNG\r\n\x1a\n", Code.NOT_A_CSV),
    (b"Symbol,Quantity,Entry Date\nAAPL,1,2022-01-14\n", Code.COLUMN_MISSING),
    (f"{HEADER},Exit Pric\n{ROW},\n".encode(), Code.BAD_HEADER),
    (f"{HEADER},Symbol\n{ROW},AAPL\n".encode(), Code.BAD_HEADER),
    (f"{HEADER},\n{ROW},1\n".encode(), Code.BAD_HEADER),
    (f"{ROW}\n{ROW}\n".encode(), Code.BAD_HEADER),
    (f"{HEADER}\n{ROW},1\n".encode(), Code.MALFORMED),
    (f"{HEADER}\nAAPL,100\n".encode(), Code.MALFORMED),
    (f'{HEADER}\n"AAPL,100,150.25,2022-01-14\n'.encode(), Code.MALFORMED),
    (f'{HEADER}\n"AAPL"x,100,150.25,2022-01-14\n'.encode(), Code.MALFORMED),
    (f"{HEADER}\n{'A' * 200_000},100,150.25,2022-01-14\n".encode(), Code.MALFORMED),
]


@pytest.mark.parametrize(("content", "code"), FILES)
def test_an_invalid_file_is_rejected_with_its_code(content: bytes, code: Code) -> None:
    assert rejection(content).code == code


def test_the_right_name_of_a_misspelt_column_is_suggested() -> None:
    assert "did you mean Exit Price Per Share?" in str(rejection(f"{HEADER},Exit Price Per Shar\n{ROW},\n"))


def test_the_full_name_of_a_shortened_column_is_suggested_before_similar_names() -> None:
    error = rejection("Symbol,Quantity,Entry Price,Entry Date\nAAPL,100,150.25,2022-01-14\n")
    assert [(detail.column, detail.code) for detail in error.details] == [
        ("Entry Price Per Share", Code.COLUMN_MISSING),
        ("entry price", Code.BAD_HEADER),
    ]
    assert "did you mean Entry Price Per Share?" in error.details[1].message


@pytest.mark.parametrize("name", ["Symbol", "entry date {}", "{}"])
def test_a_header_of_very_many_columns_is_rejected_quickly(name: str) -> None:
    names = [name.format(number) for number in range(200_000)]
    began = process_time()
    error = rejection(f"{HEADER},{','.join(names)}\n{ROW}\n")
    # Comparing all names with one another would take minutes, in which the server would not serve other users.
    assert process_time() - began < 5
    assert (error.code, len(error.details)) == (Code.BAD_HEADER, 1_000)


def test_rows_of_another_length_are_reported_together_with_the_bad_cells_of_the_other_rows() -> None:
    error = rejection(f"{HEADER}\nAAPL,100\n{ROW}\nAAPL,0,1,2022-01-14\n{ROW},1\n")
    assert error.code == Code.MALFORMED
    assert [(detail.row, detail.column, detail.code) for detail in error.details] == [
        (2, None, Code.MALFORMED),
        (4, "Quantity", Code.QUANTITY_ZERO),
        (5, None, Code.MALFORMED),
    ]
    assert str(error).startswith("2 rows are not as long as the header and 1 cell is wrong, the first in line 2: ")


def test_a_file_of_the_most_rows_is_read_quickly_even_if_all_are_options() -> None:
    option = "SPY_PUT,8,11.35,2022-08-15,OPTIONS,PUT,SPY,400,2023-06-16,PUT,2022-09-01,12.5\n"
    began = process_time()
    assert len(read(f"{','.join(COLUMNS)}\n" + option * MAX_ROWS)) == MAX_ROWS
    # It takes half a second; the margin is for slow machines.
    assert process_time() - began < 3


# ---------------------------------------------------------------- the cells


CELLS = [
    ({"Symbol": " "}, Code.SYMBOL_MISSING),
    ({"Symbol": "A" * 33}, Code.SYMBOL_TOO_LONG),
    ({"Symbol": "AA PL"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "ÄPL"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "\u017fPY"}, Code.SYMBOL_CHARACTERS),  # a long s, whose capital is an S
    ({"Symbol": "ß"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "\u017fPY230120C00150000"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "=A1"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "=cmd|' /C calc'!A0"}, Code.SYMBOL_CHARACTERS),
    ({"Symbol": "@SUM(A1)"}, Code.SYMBOL_CHARACTERS),
    ({"Quantity": ""}, Code.QUANTITY_MISSING),
    ({"Quantity": "ten"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "NaN"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "-Infinity"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1e400"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1e9999"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1e999999999"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1000000000000"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1_000"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "1,000"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "١٢"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "=1+1"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"Quantity": "0.000"}, Code.QUANTITY_ZERO),
    ({"Quantity": "-0"}, Code.QUANTITY_ZERO),
    ({"Quantity": "1.0000001"}, Code.QUANTITY_DECIMALS),
    ({"Quantity": "1e-9999"}, Code.QUANTITY_DECIMALS),
    ({"Quantity": "1e-999999999"}, Code.QUANTITY_DECIMALS),
    ({"Quantity": f"12345.{'0' * 30}1"}, Code.QUANTITY_DECIMALS),
    ({"Quantity": f"1e{'9' * 200}"}, Code.QUANTITY_NOT_A_NUMBER),
    ({"EntryPricePerShare": ""}, Code.PRICE_MISSING),
    ({"EntryPricePerShare": "$5"}, Code.PRICE_NOT_A_NUMBER),
    ({"EntryPricePerShare": "1e400"}, Code.PRICE_NOT_A_NUMBER),
    ({"EntryPricePerShare": "0"}, Code.PRICE_NOT_POSITIVE),
    ({"EntryPricePerShare": "-1"}, Code.PRICE_NOT_POSITIVE),
    ({"EntryPricePerShare": "1.00001"}, Code.PRICE_DECIMALS),
    ({"EntryPricePerShare": f"1.{'0' * 40}1"}, Code.PRICE_DECIMALS),
    ({"EntryDate": ""}, Code.DATE_MISSING),
    ({"EntryDate": "14/01/2022"}, Code.DATE_FORMAT),
    ({"EntryDate": "20220114"}, Code.DATE_FORMAT),
    ({"EntryDate": "2022-02-30"}, Code.DATE_FORMAT),
    ({"EntryDate": "2026-11-25"}, Code.DATE_FUTURE),
    ({"EntryDate": "1926-11-23"}, Code.DATE_TOO_OLD),
    ({"InvestmentClass": "SHARES"}, Code.CLASS),
    ({"InvestmentClass": "PUBLIC", "Symbol": "MY_HOUSE"}, Code.CLASS),
    ({"InvestmentClass": "PUBLIC", "Symbol": OCC}, Code.CLASS),
    ({"InvestmentSubtype": "CALL"}, Code.SUBTYPE),
    ({"InvestmentClass": "PRIVATE", "InvestmentSubtype": "STOCK"}, Code.SUBTYPE),
    ({"Symbol": OCC, "InvestmentSubtype": "PUT"}, Code.SUBTYPE),
    ({"ExitDate": "2022-01-13", "ExitPricePerShare": "1"}, Code.EXIT_BEFORE_ENTRY),
    ({"ExitDate": "1900-01-01", "ExitPricePerShare": "1"}, Code.EXIT_BEFORE_ENTRY),
    ({"ExitDate": "2026-12-01", "ExitPricePerShare": "1"}, Code.DATE_FUTURE),
    ({"ExitDate": "tomorrow", "ExitPricePerShare": "1"}, Code.DATE_FORMAT),
    ({"ExitDate": "2022-01-14", "ExitPricePerShare": ""}, Code.EXIT_PRICE),
    ({"ExitDate": "2022-01-14", "ExitPricePerShare": "-1"}, Code.EXIT_PRICE),
    ({"ExitDate": "2022-01-14", "ExitPricePerShare": "nan"}, Code.EXIT_PRICE),
    ({"ExitDate": "2022-01-14", "ExitPricePerShare": "1e400"}, Code.EXIT_PRICE),
    ({"ExitDate": "2022-01-14", "ExitPricePerShare": "1.0000001"}, Code.EXIT_PRICE),
    ({"ExitDate": "", "ExitPricePerShare": "5"}, Code.EXIT_PRICE),
    ({"Symbol": OCC, "StrikePrice": "151"}, Code.STRIKE_MISSING),
    ({"Symbol": OCC, "StrikePrice": "-1"}, Code.STRIKE_MISSING),
    ({"Symbol": OCC, "UnderlyingSymbol": "MSFT"}, Code.UNDERLYING_MISSING),
    ({"Symbol": OCC, "UnderlyingSymbol": "A A"}, Code.UNDERLYING_MISSING),
    ({"Symbol": OCC, "ExpirationDate": "2023-01-21"}, Code.EXPIRATION_MISSING),
    ({"Symbol": OCC, "OptionType": "PUT"}, Code.OPTION_TYPE_MISSING),
    ({"Symbol": OCC, "EntryDate": "2023-01-21"}, Code.EXPIRATION_MISSING),
]


@pytest.mark.parametrize(("cells", "code"), CELLS)
def test_a_bad_cell_is_rejected_with_its_code(cells: dict[str, str], code: Code) -> None:
    error = rejection(row_of(**cells))
    assert error.code == Code.FILE_INVALID
    assert [detail.code for detail in error.details] == [code]
    assert error.details[0].row == 2


@pytest.mark.parametrize("number", ["1e13", "1e400", "1e999999999", f"1e{'9' * 200}", "9" * 100])
def test_a_number_beyond_the_largest_is_too_large_in_every_notation(number: str) -> None:
    assert "too large" in rejection(row_of(Quantity=number)).details[0].message


@pytest.mark.parametrize(
    ("written", "quantity"),
    [
        ("1.5000000", "1.5"),
        (f"1.{'0' * 100}", "1"),
        ("+2", "2"),
        (".5", "0.5"),
        ("3.", "3"),
        ("-1e3", "-1000"),
        ("10000000e-7", "1"),
        ("999999999999.999999", "999999999999.999999"),
        ("0.000001", "0.000001"),
    ],
)
def test_decimals_are_those_of_the_value_and_not_of_its_notation(written: str, quantity: str) -> None:
    # At a price of a cent, since the cost of a lot is limited.
    assert str(read(row_of(Quantity=written, EntryPricePerShare="0.01"))[0].quantity) == quantity


def test_an_exit_price_keeps_all_stored_decimals() -> None:
    closed = read(row_of(ExitDate="2022-01-14", ExitPricePerShare="1.234567"))[0]
    assert (closed.exit_date, closed.exit_price) == (date(2022, 1, 14), Decimal("1.234567"))
    assert read(row_of(ExitDate="2022-01-14", ExitPricePerShare="0"))[0].exit_price == 0


OPTION = {
    "UnderlyingSymbol": "AAPL",
    "StrikePrice": "150",
    "ExpirationDate": "2023-01-20",
    "OptionType": "CALL",
    "Quantity": "-2",
    "EntryPricePerShare": "4.50",
}


DESCRIPTIONS = [
    ({"UnderlyingSymbol": ""}, Code.UNDERLYING_MISSING),
    ({"UnderlyingSymbol": "TOOLONG"}, Code.UNDERLYING_MISSING),
    ({"UnderlyingSymbol": "A A"}, Code.UNDERLYING_MISSING),
    ({"UnderlyingSymbol": "A" * 33}, Code.UNDERLYING_MISSING),
    ({"StrikePrice": ""}, Code.STRIKE_MISSING),
    ({"StrikePrice": "150.0001"}, Code.STRIKE_MISSING),
    ({"StrikePrice": "100000"}, Code.STRIKE_MISSING),
    ({"ExpirationDate": ""}, Code.EXPIRATION_MISSING),
    ({"ExpirationDate": "Jan 20"}, Code.EXPIRATION_MISSING),
    ({"ExpirationDate": "2100-01-15"}, Code.EXPIRATION_MISSING),
    ({"OptionType": ""}, Code.OPTION_TYPE_MISSING),
    ({"OptionType": "STRADDLE"}, Code.OPTION_TYPE_MISSING),
    ({"InvestmentClass": "PUBLIC"}, Code.CLASS),
    ({"InvestmentClass": "PRIVATE"}, Code.CLASS),
]


@pytest.mark.parametrize(("cells", "code"), DESCRIPTIONS)
def test_a_bad_option_column_is_rejected_with_its_code(cells: dict[str, str], code: Code) -> None:
    assert [detail.code for detail in rejection(row_of(**{**OPTION, **cells})).details] == [code]


@pytest.mark.parametrize(
    "cells",
    [
        {"Symbol": OCC},
        {"Symbol": OCC.lower()},
        {"Symbol": "AAPL  230120C00150000"},
        {"Symbol": "O:AAPL230120C00150000"},
        {"Symbol": OCC, "InvestmentClass": "options", "InvestmentSubtype": "call"},
        {"Symbol": OCC, **OPTION},
        {"Symbol": "AAPL", **OPTION},
        {"Symbol": "AAPL", **OPTION, "OptionType": "c", "UnderlyingSymbol": "aapl", "StrikePrice": "150.000"},
    ],
)
def test_an_option_is_the_same_in_every_notation(cells: dict[str, str]) -> None:
    held = read(row_of(**{"Quantity": "-2", "EntryPricePerShare": "4.50", **cells}))
    assert held == (CALL,)
    assert held[0].position_type == "SC"


@pytest.mark.parametrize(
    ("symbol", "held"), [("MY_HOUSE", "PRIVATE"), ("BRK.B", "PUBLIC"), ("^GSPC", "PUBLIC"), ("EURUSD=X", "PUBLIC")]
)
def test_the_class_follows_from_the_symbol_when_none_is_given(symbol: str, held: str) -> None:
    assert read(row_of(Symbol=symbol))[0].investment_class == held


def test_a_private_asset_needs_no_underscore_when_its_class_says_so() -> None:
    position = read(row_of(Symbol="HOUSE", InvestmentClass="private", InvestmentSubtype="real_estate"))[0]
    assert (position.symbol, position.investment_class, position.investment_subtype) == (
        "HOUSE",
        "PRIVATE",
        "REAL_ESTATE",
    )


@pytest.mark.parametrize(
    ("written", "symbol"),
    [("BRK.B", "BRK-B"), ("brk-b", "BRK-B"), ("BF.A", "BF-A"), ("VOD.L", "VOD.L"), ("BTC-USD", "BTC-USD"), ("A", "A")],
)
def test_a_share_class_has_one_spelling(written: str, symbol: str) -> None:
    assert canonical_symbol(written) == symbol
    assert read(row_of(Symbol=written))[0].symbol == symbol


def test_every_bad_cell_of_every_row_is_reported_and_nothing_is_read() -> None:
    error = rejection(f"{HEADER}\n{ROW}\n,0,-1,x\n{ROW}\nA B,1,1,2022-01-14\n")
    assert [(detail.row, detail.column, detail.code) for detail in error.details] == [
        (3, "Symbol", Code.SYMBOL_MISSING),
        (3, "Quantity", Code.QUANTITY_ZERO),
        (3, "Entry Price Per Share", Code.PRICE_NOT_POSITIVE),
        (3, "Entry Date", Code.DATE_FORMAT),
        (5, "Symbol", Code.SYMBOL_CHARACTERS),
    ]
    assert str(error).startswith("5 cells are wrong")


def test_errors_before_an_unclosed_quote_are_reported_too() -> None:
    error = rejection(f'{HEADER}\nAAPL,0,1,2022-01-14\n"AAPL,1,1,2022-01-14\n')
    assert error.code == Code.MALFORMED
    assert [(detail.row, detail.code) for detail in error.details] == [(3, Code.MALFORMED), (2, Code.QUANTITY_ZERO)]


def test_a_lot_that_costs_more_than_any_portfolio_is_rejected() -> None:
    cells = {"Quantity": "1000000", "EntryPricePerShare": "1000000"}
    assert read(row_of(**cells))[0].quantity == 1_000_000
    error = rejection(row_of(**{**cells, "EntryPricePerShare": "1000000.01"}))
    assert [detail.code for detail in error.details] == [Code.QUANTITY_NOT_A_NUMBER]


def test_of_very_many_bad_cells_a_thousand_are_reported_and_all_are_counted() -> None:
    error = rejection(f"{HEADER}\n" + "A B,0,1,2022-01-14\n" * 5_000)
    assert len(error.details) == 1_000
    assert str(error).startswith("10000 cells are wrong")


def test_a_long_bad_value_is_shortened() -> None:
    assert len(rejection(row_of(Symbol="?" * 10_000)).details[0].value or "") == 64


def test_one_row_is_read_by_the_rules_of_the_file() -> None:
    cells = {"Symbol": "aapl", "Quantity": "100.0", "Entry Price Per Share": "150.25", "Entry Date": "2022-01-14"}
    assert read_position(cells, today=TODAY) == APPLE
    with pytest.raises(RejectedError) as caught:
        read_position({**cells, "Quantity": "0", "Exit Date": None}, today=TODAY)
    assert caught.value.code == Code.QUANTITY_ZERO


def test_every_column_except_the_option_columns_is_stored_in_one_field() -> None:
    assert set(COLUMNS) - set(FIELD_OF_COLUMN) == {
        "Underlying Symbol",
        "Strike Price",
        "Expiration Date",
        "Option Type",
    }
    assert set(COLUMN_OF_FIELD) < {field.name for field in fields(NewPosition)}
    assert {column: FIELD_OF_COLUMN[column] for column in COLUMN_OF_FIELD.values()} == FIELD_OF_COLUMN


# ---------------------------------------------------------------- the form

FORM = {
    "portfolio_name": "  Balanced Growth ",
    "account_name": "Joint",
    "account_type": "Roth_IRA",
    "equity_balance": "1e5",
    "inception_date": "",
}


def test_a_form_is_read_without_the_spaces_around_its_values() -> None:
    assert check_form(**FORM, today=TODAY) == PortfolioForm(
        "Balanced Growth", "Joint", "roth_ira", Decimal("1e5"), None
    )


FIELDS = [
    ("portfolio_name", None, Code.NAME_MISSING),
    ("portfolio_name", "  ", Code.NAME_MISSING),
    ("portfolio_name", "a\x00b", Code.NAME_MISSING),
    ("portfolio_name", "a\nb", Code.NAME_MISSING),
    ("portfolio_name", "a\ud800b", Code.NAME_MISSING),
    ("portfolio_name", "x" * 256, Code.NAME_TOO_LONG),
    ("account_name", "", Code.ACCOUNT_MISSING),
    ("account_name", "x" * 101, Code.ACCOUNT_TOO_LONG),
    ("account_type", "savings", Code.ACCOUNT_TYPE),
    ("account_type", None, Code.ACCOUNT_TYPE),
    ("equity_balance", "", Code.EQUITY_MISSING),
    ("equity_balance", "0", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", "-5", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", "NaN", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", "1.001", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", f"100.{'0' * 30}1", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", "-1e400", Code.EQUITY_NOT_POSITIVE),
    ("equity_balance", "1000000000000.01", Code.EQUITY_TOO_LARGE),
    ("equity_balance", "1e15", Code.EQUITY_TOO_LARGE),
    ("equity_balance", "1e999999999", Code.EQUITY_TOO_LARGE),
    ("equity_balance", "9" * 70, Code.EQUITY_TOO_LARGE),
    ("inception_date", "yesterday", Code.DATE_FORMAT),
    ("inception_date", "2027-01-01", Code.DATE_FUTURE),
    ("inception_date", "1900-01-01", Code.DATE_TOO_OLD),
]


@pytest.mark.parametrize(("field", "value", "code"), FIELDS)
def test_a_bad_field_is_rejected_with_its_code(field: str, value: str | None, code: Code) -> None:
    with pytest.raises(RejectedError) as caught:
        check_form(**{**FORM, field: value}, today=TODAY)
    assert [(detail.column, detail.code) for detail in caught.value.details] == [(field, code)]


@pytest.mark.parametrize("name", ["\u0645\u06cc\u200c\u062e\u0648", "\U0001f468\u200d\U0001f467", "Größe & Söhne"])
def test_a_name_may_be_in_any_language(name: str) -> None:
    assert check_form(**{**FORM, "portfolio_name": name}, today=TODAY).name == name


def test_the_largest_equity_is_accepted_and_all_bad_fields_are_reported() -> None:
    assert check_form(**{**FORM, "equity_balance": "1000000000000"}, today=TODAY).equity == Decimal(10) ** 12
    with pytest.raises(RejectedError) as caught:
        check_form(**dict.fromkeys(FORM, "?"), today=TODAY)
    assert [detail.column for detail in caught.value.details] == ["account_type", "equity_balance", "inception_date"]


def test_every_code_is_raised_except_those_that_other_modules_raise() -> None:
    errors = [rejection(content) for content, _ in FILES]
    errors += [rejection(b" " * (MAX_BYTES + 1))]
    errors += [rejection(row_of(**cells)) for cells, _ in CELLS]
    errors += [rejection(row_of(**{**OPTION, **cells})) for cells, _ in DESCRIPTIONS]
    for field, value, _ in FIELDS:
        with pytest.raises(RejectedError) as caught:
            check_form(**{**FORM, field: value}, today=TODAY)
        errors.append(caught.value)
    raised = {error.code for error in errors} | {detail.code for error in errors for detail in error.details}
    assert set(Code) - raised == {Code.ACCOUNT_EXISTS, Code.FILE_MISSING}
    assert all(code.meaning for code in Code)


# ---------------------------------------------------------------- properties


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_the_rejection(content: bytes) -> None:
    with suppress(RejectedError):
        read_positions(content, today=TODAY)


PIECES = st.sampled_from(
    [
        *COLUMNS,
        "\n",
        "\r\n",
        "\r",
        ",",
        ";",
        '"',
        '""',
        "#",
        "AAPL",
        OCC,
        "1",
        "-1",
        "0",
        "1e400",
        "2022-01-14",
        "=1",
        " ",
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=40), st.booleans())
def test_anything_that_resembles_a_file_is_read_or_rejected(pieces: list[str], with_header: bool) -> None:
    text = (f"{HEADER}\n" if with_header else "") + "".join(pieces)
    with suppress(RejectedError):
        assert read(text)


# Times the largest price, the largest quantity costs less than a lot may cost.
QUANTITIES = st.decimals("-9999999", "9999999", places=6).filter(bool)
PRICES = st.decimals("0.0001", "99999", places=4)
ENTRIES = st.dates(date(1950, 1, 1), TODAY - timedelta(days=400))
TICKERS = st.from_regex(r"[A-Z]{1,5}(-[A-E])?|\^[A-Z]{2,6}|[0-9]{4}\.(HK|T)", fullmatch=True)
ASSETS = st.from_regex(r"[A-Z][A-Z0-9]{0,9}_[A-Z0-9_]{0,10}", fullmatch=True)
SUBTYPES = {
    "PUBLIC": st.sampled_from([None, "STOCK", "ETF", "BOND", "CASH"]),
    "PRIVATE": st.sampled_from([None, "REAL_ESTATE", "CASH", "OTHER"]),
}


@st.composite
def contracts(draw: st.DrawFn) -> OptionContract:
    underlying = draw(st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True))
    expiration = draw(st.dates(TODAY - timedelta(days=400), date(2099, 12, 31)))
    is_call, strike = draw(st.booleans()), draw(st.integers(1, 10**8 - 1).map(lambda number: Decimal(number) / 1000))
    symbol = format_occ(underlying, expiration, is_call=is_call, strike=strike)
    return OptionContract(symbol, underlying, expiration, is_call, strike)


@st.composite
def lots(draw: st.DrawFn) -> NewPosition:
    """Return any position that a file can contain."""
    held = draw(st.sampled_from(["PUBLIC", "OPTIONS", "PRIVATE"]))
    contract = draw(contracts()) if held == "OPTIONS" else None
    entry = draw(ENTRIES)
    exit_date = draw(st.none() | st.dates(entry, TODAY))
    return NewPosition(
        contract.symbol if contract else draw(TICKERS if held == "PUBLIC" else ASSETS),
        draw(QUANTITIES),
        draw(PRICES),
        entry,
        held,
        ("CALL" if contract.is_call else "PUT") if contract else draw(SUBTYPES[held]),
        exit_date=exit_date,
        exit_price=None if exit_date is None else draw(st.decimals("0", "99999", places=6)),
        contract=contract,
    )


def cells_of(lot: NewPosition, *, described: bool, classed: bool) -> dict[str, str]:
    """Return the cells of a lot: an option by its columns or its symbol, the class given or implied."""
    cells: dict[str, object] = {
        "Symbol": lot.symbol,
        "Quantity": lot.quantity,
        "Entry Price Per Share": lot.entry_price,
        "Entry Date": lot.entry_date,
        "Investment Class": lot.investment_class if classed else None,
        "Investment Subtype": lot.investment_subtype,
        "Exit Date": lot.exit_date,
        "Exit Price Per Share": lot.exit_price,
    }
    if lot.contract is not None and described:
        cells |= {
            "Symbol": "ANYTHING",
            "Underlying Symbol": lot.contract.underlying,
            "Strike Price": lot.contract.strike,
            "Expiration Date": lot.contract.expiration,
            "Option Type": "C" if lot.contract.is_call else "put",
        }
    return {column: "" if value is None else str(value) for column, value in cells.items()}


@settings(max_examples=150)
@given(
    st.lists(st.tuples(lots(), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.permutations(COLUMNS),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([str, str.upper, str.lower]),
)
def test_positions_written_in_any_dialect_are_read_back_exactly(
    written: list[tuple[NewPosition, bool, bool]],
    columns: list[str],
    delimiter: str,
    newline: str,
    quoting: Literal[0, 1],
    spell: Callable[[str], str],
) -> None:
    output = io.StringIO(newline="")
    writer = csv.writer(output, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow([spell(column) for column in columns])
    for lot, described, classed in written:
        output.write(f'# a "comment{newline}{newline}')
        cells = cells_of(lot, described=described, classed=classed)
        writer.writerow([cells.get(column, "") for column in columns])
    assert read(output.getvalue()) == tuple(lot for lot, _, _ in written)

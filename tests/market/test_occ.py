"""OCC option symbols."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.market.instruments import OptionContract
from closingbell.market.occ import format_occ, parse_occ

APPLE = OptionContract("AAPL230120C00150000", "AAPL", date(2023, 1, 20), is_call=True, strike=Decimal(150))

roots = st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True)
expirations = st.dates(date(2000, 1, 1), date(2099, 12, 31))
strikes = st.integers(1, 10**8 - 1).map(lambda thousandths: Decimal(thousandths) / 1000)


@given(root=roots, expiration=expirations, is_call=st.booleans(), strike=strikes)
def test_a_written_symbol_is_read_back(root: str, expiration: date, is_call: bool, strike: Decimal) -> None:
    symbol = format_occ(root, expiration, is_call=is_call, strike=strike)

    assert parse_occ(symbol) == OptionContract(symbol, root, expiration, is_call, strike)


@given(root=roots, expiration=expirations, is_call=st.booleans(), strike=strikes)
def test_padding_and_prefix_do_not_change_the_contract(
    root: str, expiration: date, is_call: bool, strike: Decimal
) -> None:
    symbol = format_occ(root, expiration, is_call=is_call, strike=strike)
    padded = root.ljust(6) + symbol[len(root) :]

    assert parse_occ(padded) == parse_occ(f"O:{symbol}") == parse_occ(f"O:{padded}") == parse_occ(symbol)


@given(st.text(max_size=24))
def test_any_text_is_a_contract_or_none(text: str) -> None:
    contract = parse_occ(text)

    assert contract is None or parse_occ(contract.symbol) == contract


@pytest.mark.parametrize("symbol", ["AAPL230120C00150000", " aapl230120c00150000 ", "O:AAPL230120C00150000"])
def test_a_known_symbol_is_read(symbol: str) -> None:
    assert parse_occ(symbol) == APPLE


def test_digits_at_the_end_of_the_root_belong_to_the_root() -> None:
    contract = parse_occ("AAPL1230120P00002500")

    assert contract is not None
    assert (contract.underlying, contract.is_call, contract.strike) == ("AAPL1", False, Decimal("2.5"))


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL",
        "BRK.B",
        "ACME_SERIES_B",
        "230120C00150000",  # no root
        "TOOLONG230120C00150000",
        "1AAPL230120C00150000",
        "AAPL230230C00150000",  # 30 February
        "AAPL230120X00150000",
        "AAPL230120C00000000",  # strike 0
        "AAPL230120C0015000",  # seven digits
        "AAPL230120C\u0660\u0660150000",  # digits, but not ASCII
        "\u017fPY230120C00150000",  # a long s, whose capital is an S
        "O:",
        "",
    ],
)
def test_a_symbol_that_is_not_an_option_is_not_read_as_one(symbol: str) -> None:
    assert parse_occ(symbol) is None


@pytest.mark.parametrize("strike", ["0", "-5", "1.0005", "100000", "NaN", "Infinity"])
def test_a_strike_that_does_not_fit_is_refused(strike: str) -> None:
    with pytest.raises(ValueError, match="strike"):
        format_occ("AAPL", date(2023, 1, 20), is_call=True, strike=Decimal(strike))


@pytest.mark.parametrize("root", ["", "BRK.B", "aapl", "TOOLONG"])
def test_a_root_that_does_not_fit_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="root"):
        format_occ(root, date(2023, 1, 20), is_call=True, strike=Decimal(150))


@pytest.mark.parametrize("year", [1999, 2100])
def test_an_expiration_in_another_century_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match="2000 to 2099"):
        format_occ("AAPL", date(year, 1, 20), is_call=True, strike=Decimal(150))

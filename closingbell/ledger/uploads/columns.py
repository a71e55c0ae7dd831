"""The columns of an uploaded file, and the fields in which a position stores them."""

from __future__ import annotations

SYMBOL, QUANTITY, PRICE, ENTRY = "Symbol", "Quantity", "Entry Price Per Share", "Entry Date"
CLASS, SUBTYPE = "Investment Class", "Investment Subtype"
UNDERLYING, STRIKE, EXPIRATION, OPTION_TYPE = "Underlying Symbol", "Strike Price", "Expiration Date", "Option Type"
EXIT, EXIT_PRICE = "Exit Date", "Exit Price Per Share"

REQUIRED = (SYMBOL, QUANTITY, PRICE, ENTRY)
OPTION_COLUMNS = (UNDERLYING, STRIKE, EXPIRATION, OPTION_TYPE)
COLUMNS = (*REQUIRED, CLASS, SUBTYPE, *OPTION_COLUMNS, EXIT, EXIT_PRICE)

FIELD_OF_COLUMN = {
    SYMBOL: "symbol",
    QUANTITY: "quantity",
    PRICE: "entry_price",
    ENTRY: "entry_date",
    CLASS: "investment_class",
    SUBTYPE: "investment_subtype",
    EXIT: "exit_date",
    EXIT_PRICE: "exit_price",
}
"""The field of a stored position by its column. The option columns are stored as the option's symbol."""

COLUMN_OF_FIELD = {field: column for column, field in FIELD_OF_COLUMN.items()}

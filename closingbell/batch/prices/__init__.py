"""Daily bars: fetched, checked, stored, and adjusted for splits and dividends."""

from closingbell.batch.prices.ranges import HISTORY_SESSIONS
from closingbell.batch.prices.refreshing import (
    onboard_option_prices,
    onboard_prices,
    refresh_option_prices,
    refresh_prices,
)

__all__ = [
    "HISTORY_SESSIONS",
    "onboard_option_prices",
    "onboard_prices",
    "refresh_option_prices",
    "refresh_prices",
]

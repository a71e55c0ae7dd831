"""When the plant works by itself."""

from schedules.nightly import freshness_2230, portfolio_refresh_2130, symbol_batch_2100

SCHEDULES = [symbol_batch_2100, portfolio_refresh_2130, freshness_2230]

"""Closing Bell's own knowledge: markets, portfolios, mathematics and their storage.

Nothing below this package imports dagster or fastapi; the outer folders translate between those and this.
"""

"""Portfolio accounting: daily snapshots from a ledger and market prices.

The path of every portfolio, from its inception to the last requested session, is derived from its ledger in every
call. A snapshot is therefore a pure function of the ledger and of the prices up to its session. It depends neither
on the other sessions requested, nor on the other portfolios, nor on the size of the chunks they are computed in.

Money is integer cents. Each position value and each cash movement is rounded to a cent once (ties to even, on the
binary product). All sums after that are exact, so ``nav = cash + long_value + short_value`` always holds.

An event on a date belongs to the first session on or after it; an expiration belongs to the last session on or
before it.
"""

from closingbell.calculations.valuation.accounting import value_portfolios
from closingbell.calculations.valuation.concentration import group_weights
from closingbell.calculations.valuation.inputs import Actions, Flows, Lots, Market, Portfolios, Valuations
from closingbell.calculations.valuation.prices import STALE_SESSIONS
from closingbell.calculations.valuation.snapshots import Snapshots

__all__ = [
    "STALE_SESSIONS",
    "Actions",
    "Flows",
    "Lots",
    "Market",
    "Portfolios",
    "Snapshots",
    "Valuations",
    "group_weights",
    "value_portfolios",
]

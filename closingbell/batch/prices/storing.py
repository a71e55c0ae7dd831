"""Store fetched bars and derive the adjusted closes of their series again."""

from __future__ import annotations

from datetime import date

import numpy as np

from closingbell.arrays import Dates, Floats
from closingbell.batch.prices.fetching import Fetched
from closingbell.market.adjustment import adjusted_close
from closingbell.market.bars import Bars
from closingbell.repositories import prices, universe
from closingbell.repositories.database import Connection


def store(connection: Connection, fetched: Fetched) -> dict[int, date]:
    """Write bars, actions and adjusted closes; return, by symbol id, since when stored prices have changed."""
    fetched_actions = {key: (bars.actions, bars.source) for key, bars in fetched.bars.items()}
    changed = prices.record_actions(connection, fetched_actions)
    actions = prices.read_actions(connection, list(fetched.bars))
    stored = prices.read_series(connection, list(actions))
    # Without corporate actions, the adjusted close is the close.
    adjusted_bars: dict[int, Floats] = {key: bars.close for key, bars in fetched.bars.items()}
    readjusted: dict[int, tuple[Dates, Floats]] = {}
    for key, symbol_actions in actions.items():
        bars = fetched.bars[key]
        days, close, stored_adjusted = _merge(bars, stored.get(key))
        adjusted = adjusted_close(days, close, symbol_actions)
        differs = np.isfinite(stored_adjusted) & (stored_adjusted != adjusted)
        readjusted[key] = (days[differs], adjusted[differs])
        adjusted_bars[key] = adjusted[np.searchsorted(days, bars.sessions)]
    prices.upsert_bars(connection, fetched.bars, adjusted_bars)
    prices.update_adjusted(connection, readjusted)
    prices.replace_refused(connection, fetched.refused)
    universe.record_history(connection, fetched.known)
    since = {key: min(days) for key, days in changed.items() if key in stored}
    for key, day in fetched.restated.items():
        since[key] = min(day, since.get(key, day))
    return since


def _merge(bars: Bars, stored: tuple[Dates, Floats, Floats] | None) -> tuple[Dates, Floats, Floats]:
    """Merge fetched bars into the stored series; return sessions, closes and the adjusted closes stored so far."""
    if stored is None:
        return bars.sessions, bars.close, np.full(len(bars.close), np.nan)
    days = np.union1d(stored[0], bars.sessions)
    close, adjusted = np.full(len(days), np.nan), np.full(len(days), np.nan)
    at = np.searchsorted(days, stored[0])
    close[at], adjusted[at] = stored[1], stored[2]
    close[np.searchsorted(days, bars.sessions)] = bars.close
    return days, close, adjusted

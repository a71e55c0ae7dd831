"""Factor exposures of portfolios and of their positions.

``exposure_dollar = sum(value x beta)`` and ``exposure_value = exposure_dollar / NAV``, with the betas of the same
session, clipped to `BETA_LIMIT`. A position without a beta (an option, a private asset, an unpriced position, a symbol
whose beta is NULL) is left out; `coverage` is the share of the gross value that has a beta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closingbell.arrays import Bools, Floats, Ints
from closingbell.calculations.money import CENTS
from closingbell.calculations.ratios import ratio

BETA_LIMIT = 5.0
"""A larger beta is taken for an estimation error and counts as the limit."""


@dataclass(frozen=True)
class PricedLots:
    """P positions on S sessions, ordered by portfolio.

    Attributes
    ----------
    portfolio : int64 (P,)
        Row of the portfolio; ascending.
    column : int64 (P,)
        Column of the betas; not used where not `eligible`.
    eligible : bool (P,)
        The lot can have a beta: it has a column and is neither an option nor a private asset.
    value : int64 (P, S)
        Cents; 0 where not `priced`.
    priced : bool (P, S)
        The lot counts on the session and has a price.
    """

    portfolio: Ints
    column: Ints
    eligible: Bools
    value: Ints
    priced: Bools


@dataclass(frozen=True)
class PositionExposures:
    """P positions, S sessions, F factors; NaN where the position has no beta.

    Attributes
    ----------
    dollar : float64 (P, S, F)
        Dollars: value times clipped beta.
    value : float64 (P, S, F)
        `dollar` as a fraction of the portfolio's NAV; NaN unless NAV > 0.
    """

    dollar: Floats
    value: Floats


@dataclass(frozen=True)
class FactorExposures:
    """K portfolios, S sessions, F factors.

    Attributes
    ----------
    dollar : float64 (K, S, F)
        Dollars; NaN (unknown, not 0) where no position has a beta.
    value : float64 (K, S, F)
        `dollar` as a fraction of NAV; NaN unless NAV > 0.
    coverage : float64 (K, S, F)
        Share of the gross value of all priced positions that has a beta; NaN where gross is 0.
    clipped : int64 (K, S, F)
        Positions whose beta lay beyond `BETA_LIMIT`.
    """

    dollar: Floats
    value: Floats
    coverage: Floats
    clipped: Ints


def position_exposures(lots: PricedLots, nav: Ints, betas: Floats) -> PositionExposures:
    """Compute the exposure of every position to every factor.

    Parameters
    ----------
    lots : PricedLots
        P positions on S sessions.
    nav : int64 (K, S)
        Cents.
    betas : float64 (S, F, N)
        As estimated for the same sessions; NaN where unknown.

    Returns
    -------
    PositionExposures
        Arrays of P x S x F; with many lots, compute few sessions at a time.
    """
    sessions, factors, _ = betas.shape
    dollar = np.empty((len(lots.portfolio), sessions, factors))
    for session in range(sessions):
        for factor in range(factors):
            beta = _lot_betas(lots, session, betas[session, factor])
            dollar[:, session, factor] = _dollars(lots, session, beta)
    return PositionExposures(dollar=dollar, value=_share_of_nav(dollar, nav[lots.portfolio]))


def factor_exposures(lots: PricedLots, nav: Ints, betas: Floats) -> FactorExposures:
    """Compute the exposure of every portfolio to every factor.

    Each sum is taken in the order of the lots. A portfolio's exposures are therefore the same to the bit whatever
    other portfolios are computed with it, and equal the running sum of its positions' exposures.

    Parameters
    ----------
    lots : PricedLots
        P positions on S sessions.
    nav : int64 (K, S)
        Cents.
    betas : float64 (S, F, N)
        As estimated for the same sessions; NaN where unknown.

    Returns
    -------
    FactorExposures
        One per portfolio, session and factor.
    """
    count = len(nav)
    sessions, factors, _ = betas.shape
    shape = (count, sessions, factors)
    dollar, coverage, clipped = np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.int64)
    for session in range(sessions):
        gross = _gross(lots, session, lots.priced[:, session], count)
        for factor in range(factors):
            beta = _lot_betas(lots, session, betas[session, factor])
            known = ~np.isnan(beta)
            owner = lots.portfolio[known]
            total = np.bincount(owner, _dollars(lots, session, beta)[known], minlength=count)
            at = (slice(None), session, factor)
            dollar[at] = np.where(np.bincount(owner, minlength=count) > 0, total, np.nan)
            coverage[at] = ratio(_gross(lots, session, known, count), gross)
            clipped[at] = np.bincount(lots.portfolio[np.abs(beta) > BETA_LIMIT], minlength=count)
    return FactorExposures(dollar=dollar, value=_share_of_nav(dollar, nav), coverage=coverage, clipped=clipped)


def _lot_betas(lots: PricedLots, session: int, betas: Floats) -> Floats:
    """Return the unclipped beta of each lot (P,) from those of one factor (N,); NaN for lots that are left out."""
    beta = np.full(len(lots.portfolio), np.nan)
    use = np.flatnonzero(lots.eligible & lots.priced[:, session])
    beta[use] = betas[lots.column[use]]
    return beta


def _dollars(lots: PricedLots, session: int, beta: Floats) -> Floats:
    """Multiply the lots' values by their clipped betas; return dollars (P,)."""
    return lots.value[:, session] * np.clip(beta, -BETA_LIMIT, BETA_LIMIT) / CENTS


def _gross(lots: PricedLots, session: int, mask: Bools, count: int) -> Ints:
    """Sum the absolute values of the lots in `mask` by portfolio; return cents (count,)."""
    gross = np.zeros(count, dtype=np.int64)
    np.add.at(gross, lots.portfolio[mask], np.abs(lots.value[mask, session]))
    return gross


def _share_of_nav(dollar: Floats, nav: Ints) -> Floats:
    """Divide dollars (n, S, F) by NAV (n, S) in cents; NaN unless NAV > 0."""
    return ratio(dollar, (nav / CENTS)[:, :, None])

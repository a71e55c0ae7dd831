"""The thirteen factors: what each one measures, against which funds, over which window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How a factor's beta comes about."""

    OLS_MARKET = "ols_market"
    PROVIDER = "provider"
    OLS_IR = "ols_ir"
    RIDGE = "ridge_regression"
    SPREAD = "spread_regression"


@dataclass(frozen=True)
class FactorDefinition:
    """One factor.

    Parameters
    ----------
    order : int
        Its identity in the warehouse and its place in every listing.
    name, kind : str
        For people; the kind is market, macro, style or spread.
    method : Method
    regressors : tuple of str
        The funds whose returns explain the symbol's: one, or two whose difference does (a spread), or none.
    window, minimum : int or None
        Sessions looked back at, and the observations without which there is no estimate.
    """

    order: int
    name: str
    kind: str
    method: Method
    regressors: tuple[str, ...] = ()
    window: int | None = None
    minimum: int | None = None


def _style(order: int, name: str, fund: str) -> FactorDefinition:
    return FactorDefinition(order, name, "style", Method.RIDGE, (fund,), 90, 30)


def _spread(order: int, name: str, long: str, short: str) -> FactorDefinition:
    return FactorDefinition(order, name, "spread", Method.SPREAD, (long, short), 180, 60)


FACTORS: tuple[FactorDefinition, ...] = (
    FactorDefinition(0, "Market Beta (90D)", "market", Method.OLS_MARKET, ("SPY",), 90, 30),
    FactorDefinition(1, "Provider Beta (1Y)", "market", Method.PROVIDER),
    FactorDefinition(2, "IR Beta", "macro", Method.OLS_IR, ("TLT",), 90, 30),
    _style(3, "Momentum", "MTUM"),
    _style(4, "Value", "VTV"),
    _style(5, "Growth", "VUG"),
    _style(6, "Size", "IWM"),
    _style(7, "Quality", "QUAL"),
    _style(8, "Low Volatility", "USMV"),
    _spread(9, "Growth-Value Spread", "VUG", "VTV"),
    _spread(10, "Momentum Spread", "MTUM", "SPY"),
    _spread(11, "Size Spread", "IWM", "SPY"),
    _spread(12, "Quality Spread", "QUAL", "SPY"),
)

MARKET_FACTOR = 0
PROVIDER_FACTOR = 1
LONGEST_WINDOW = max(factor.window or 0 for factor in FACTORS)
REGRESSOR_FUNDS: tuple[str, ...] = tuple(dict.fromkeys(fund for factor in FACTORS for fund in factor.regressors))

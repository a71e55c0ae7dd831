"""The thirteen factors: the method, the funds and the window of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How a factor's beta is estimated."""

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
        Its key in the database and its place in every list.
    name, kind : str
        For display; the kind is market, macro, style or spread.
    method : Method
    regressors : tuple of str
        The funds on whose returns the symbol's are regressed: one, or two whose difference is taken, or none.
    window, minimum : int or None
        Number of sessions in the window, and the fewest observations that allow an estimate.
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

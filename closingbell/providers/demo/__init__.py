"""The demo provider: offline and deterministic, with a source on every answer that says which numbers are real.

Real
    The daily closes of 20 US stocks and of the S&P 500 (1990 to 2022-12-28) and of five factor funds (2014 to
    2022-12-28). They are read at run time out of the data files of the installed package ``skfolio``; none is copied
    here. Company names, sectors, industries, websites and numbers of employees come from the installed package
    ``pytickersymbols`` and are as old as its release.
Proxies
    SPY is a tenth of the S&P 500 index, which pays no dividends. VTV is the fund VLUE and IWM the fund SIZE.
Derived
    VUG earns ``2 * SPY - VTV`` plus small seeded noise, so that growth and value lie on both sides of the market.
Synthetic
    TLT (annual volatility 0.158, beta to SPY -0.33); every open, high, low and volume; option prices; shares
    outstanding, and with them market capitalisation; statements, and with them the P/E; the next earnings date.
    Each is seeded by its symbol and generated for the entire history at once, so that a value does not depend on the
    requested range or on the other requested symbols.

The stock closes are already adjusted for splits and dividends. The demo therefore has no corporate actions, and its
early prices are lower than those that were paid at the time.

`Bars.source`, `Profile.source` and `Statements.source` are ``demo:real``, ``demo:proxy``, ``demo:derived`` or
``demo:synthetic``. For bars the source describes the close. A stock's profile is ``demo:synthetic``, because it
contains synthetic facts. A fund's profile contains its name and a beta, and has the source of the closes from which
the beta is estimated.
"""

from closingbell.providers.demo.provider import DemoProvider
from closingbell.providers.demo.symbols import DEMO_FUNDS, DEMO_STOCKS

__all__ = ["DEMO_FUNDS", "DEMO_STOCKS", "DemoProvider"]

"""A form and a file become a portfolio, valued at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from time import monotonic

from closingbell.batch.onboarding import write_portfolios
from closingbell.batch.portfolios import first_price_day
from closingbell.errors import ConflictError
from closingbell.ledger.entries import PRIVATE, NewPortfolio, NewPosition
from closingbell.ledger.uploads import Code, Detail, PortfolioForm, RejectedError
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Kind
from closingbell.repositories import accounts, factors, portfolios, queue
from closingbell.repositories.database import Connection, Database
from closingbell.repositories.portfolios import BusyError
from closingbell.repositories.queue import SymbolRequest

logger = logging.getLogger("closingbell.onboarding")

PATIENCE = timedelta(seconds=3)
"""How long a request waits while the batch writes portfolios; then the snapshot follows by itself."""

FUNDS = {"ETF", "MUTUAL_FUND"}


@dataclass(frozen=True)
class Uploader:
    """Who uploads, and the identity of the request.

    Parameters
    ----------
    owner : str
    sha256 : str
        Of the file.
    idempotency_key : str or None
        What the caller repeats with a request that it is not sure of.
    """

    owner: str
    sha256: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Uploaded:
    """The portfolio of an upload, and whether it had been made by the same request before."""

    portfolio_id: int
    repeated: bool


def upload(
    database: Database,
    calendar: SessionCalendar,
    uploader: Uploader,
    form: PortfolioForm,
    positions: Sequence[NewPosition],
    *,
    today: date,
    latest: date,
) -> Uploaded:
    """Store a portfolio, ask for the symbols that the plant does not know, and write the first snapshot.

    Parameters
    ----------
    today : date
        The day on which the quantities are stated.
    latest : date
        The newest session that has closed; portfolios start at the newest one that has been computed.

    Raises
    ------
    RejectedError
        If the account exists (ERR_PORT_001), or the inception lies before all prices.
    ConflictError
        If the idempotency key belongs to another request.
    """
    began = monotonic()
    with database.transaction() as connection:
        stored = _store(connection, calendar, uploader, form, positions, today=today, latest=latest)
    if not stored.repeated:
        write_now(database, calendar, stored.portfolio_id)
    elapsed = (monotonic() - began) * 1000
    logger.info("V2_ONBOARDING step=upload symbol=- portfolio_id=%d duration_ms=%d", stored.portfolio_id, elapsed)
    return stored


def _store(
    connection: Connection,
    calendar: SessionCalendar,
    uploader: Uploader,
    form: PortfolioForm,
    positions: Sequence[NewPosition],
    *,
    today: date,
    latest: date,
) -> Uploaded:
    before = _made_before(connection, uploader, form)
    if before is not None:
        return before
    inception = form.inception or factors.newest_session(connection) or latest
    if inception < calendar.first_day:
        message = f"there are no prices before {calendar.first_day}"
        detail = Detail(None, "inception_date", Code.DATE_TOO_OLD, message, str(inception))
        raise RejectedError(Code.DATE_TOO_OLD, message, [detail])
    portfolio = NewPortfolio(
        form.name, form.account_name, form.account_type, form.equity, inception, positions=tuple(positions)
    )
    key = portfolios.open_account(connection, uploader.owner, portfolio)
    if key is None:
        # Somebody was a moment faster: perhaps the same request, sent twice.
        before = _made_before(connection, uploader, form)
        if before is not None:
            return before
        raise RejectedError(Code.ACCOUNT_EXISTS, f"you have an account named {form.account_name} already")
    queue.request(connection, symbol_requests(positions, first_price_day(calendar, inception)))
    portfolios.add_positions(connection, key, positions, today)
    portfolios.mark_stale(connection, [key])
    if not accounts.record_upload(
        connection,
        uploader.owner,
        key,
        sha256=uploader.sha256,
        idempotency_key=uploader.idempotency_key,
        rows=len(positions),
    ):
        raise _key_reused()
    return Uploaded(key, repeated=False)


def _made_before(connection: Connection, uploader: Uploader, form: PortfolioForm) -> Uploaded | None:
    """Return the portfolio that the same request has made before."""
    if uploader.idempotency_key is not None:
        made = accounts.upload_of_key(connection, uploader.owner, uploader.idempotency_key)
        if made is not None:
            if (made.sha256, made.account_name) != (uploader.sha256, form.account_name):
                raise _key_reused()
            return Uploaded(made.portfolio_id, repeated=True)
    made = accounts.upload_of_file(connection, uploader.owner, form.account_name, uploader.sha256)
    return None if made is None else Uploaded(made.portfolio_id, repeated=True)


def _key_reused() -> ConflictError:
    return ConflictError(
        "ERR_IDEMPOTENCY_KEY", "this Idempotency-Key belongs to another request", "Send a new key with a new request"
    )


def symbol_requests(positions: Iterable[NewPosition], needed_from: date) -> list[SymbolRequest]:
    """Return the symbols that the plant must know for these positions: those with a market price, once each."""
    found: dict[str, SymbolRequest] = {}
    for position in positions:
        if position.contract is not None:
            underlying = position.contract.underlying
            found.setdefault(underlying, SymbolRequest(underlying, Kind.EQUITY, needed_from))
            found[position.symbol] = SymbolRequest(position.symbol, Kind.OPTION, needed_from, position.contract)
        elif position.investment_class != PRIVATE:
            kind = Kind.ETF if position.investment_subtype in FUNDS else Kind.EQUITY
            found[position.symbol] = SymbolRequest(position.symbol, kind, needed_from)
    return list(found.values())


def write_now(database: Database, calendar: SessionCalendar, portfolio_id: int) -> None:
    """Write the snapshots of a portfolio, as far as its symbols are known; what cannot be done now is done later."""
    try:
        write_portfolios(database, calendar, [portfolio_id], PATIENCE)
    except BusyError:
        logger.info("V2_ONBOARDING step=portfolios status=postponed symbol=- portfolio_id=%d", portfolio_id)
    except Exception:
        # The ledger is stored and marked as stale; whoever reads the log must learn why.
        logger.exception("V2_ONBOARDING step=portfolios status=failed symbol=- portfolio_id=%d", portfolio_id)

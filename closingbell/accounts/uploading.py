"""Turn a form and a file into a stored portfolio."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from closingbell.batch.portfolios import first_price_day
from closingbell.errors import ConflictError
from closingbell.ledger.entries import PRIVATE, NewPortfolio, NewPosition
from closingbell.ledger.uploads import Code, Detail, PortfolioForm, RejectedError, check_form, read_positions
from closingbell.market.calendar import SessionCalendar
from closingbell.market.instruments import Kind
from closingbell.repositories import accounts, factors, portfolios, queue
from closingbell.repositories.database import Connection
from closingbell.repositories.queue import SymbolRequest

FUNDS = {"ETF", "MUTUAL_FUND"}


@dataclass(frozen=True)
class UploadForm:
    """The fields beside the file, as the user typed them."""

    portfolio_name: str | None
    account_name: str | None
    account_type: str | None
    equity_balance: str | None
    inception_date: str | None


@dataclass(frozen=True)
class Upload:
    """An upload that keeps every rule of form and file.

    Parameters
    ----------
    form : PortfolioForm
    positions : sequence of NewPosition
    sha256 : str
        Of the file.
    idempotency_key : str or None
        Identifies the request when the caller repeats it.
    """

    form: PortfolioForm
    positions: Sequence[NewPosition]
    sha256: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Uploaded:
    """The portfolio of an upload, and whether an earlier identical request created it."""

    portfolio_id: int
    repeated: bool


def read_upload(form: UploadForm, content: bytes | None, idempotency_key: str | None, *, today: date) -> Upload:
    """Check the form and read the file.

    Parameters
    ----------
    content : bytes or None
        The CSV file.
    today : date
        No date of form or file lies after it.

    Raises
    ------
    RejectedError
        With everything that is wrong in the form, or else in the file; also if there is no file.
    """
    checked = check_form(
        portfolio_name=form.portfolio_name,
        account_name=form.account_name,
        account_type=form.account_type,
        equity_balance=form.equity_balance,
        inception_date=form.inception_date,
        today=today,
    )
    if content is None:
        raise RejectedError(Code.FILE_MISSING, "the file is missing: send it as the field `file`")
    return Upload(checked, read_positions(content, today=today), hashlib.sha256(content).hexdigest(), idempotency_key)


def store_upload(
    connection: Connection, calendar: SessionCalendar, owner: str, upload: Upload, *, today: date, latest: date
) -> Uploaded:
    """Store a portfolio and request the symbols that the plant does not know.

    Parameters
    ----------
    today : date
        The day on which the quantities are stated.
    latest : date
        The newest session that has closed. A portfolio without inception starts at the newest computed session, or
        at this one while none has been computed.

    Raises
    ------
    RejectedError
        If the account exists (ERR_PORT_001), or the inception lies before the calendar.
    ConflictError
        If the idempotency key belongs to another request.
    """
    earlier = _earlier(connection, owner, upload)
    if earlier is not None:
        return earlier
    form, inception = upload.form, _inception(connection, calendar, upload.form, latest)
    portfolio = NewPortfolio(
        form.name, form.account_name, form.account_type, form.equity, inception, positions=tuple(upload.positions)
    )
    key = portfolios.open_account(connection, owner, portfolio)
    if key is None:
        # Another transaction has just created the account; perhaps for the same request, sent twice.
        earlier = _earlier(connection, owner, upload)
        if earlier is not None:
            return earlier
        raise account_exists(form.account_name)
    queue.request(connection, symbol_requests(upload.positions, first_price_day(calendar, inception)))
    portfolios.add_positions(connection, key, upload.positions, today)
    portfolios.mark_stale(connection, [key])
    _record(connection, owner, key, upload)
    return Uploaded(key, repeated=False)


def _inception(connection: Connection, calendar: SessionCalendar, form: PortfolioForm, latest: date) -> date:
    inception = form.inception or factors.newest_session(connection) or latest
    if inception < calendar.first_day:
        message = f"there are no prices before {calendar.first_day}"
        detail = Detail(None, "inception_date", Code.DATE_TOO_OLD, message, str(inception))
        raise RejectedError(Code.DATE_TOO_OLD, message, [detail])
    return inception


def _earlier(connection: Connection, owner: str, upload: Upload) -> Uploaded | None:
    """Return the portfolio that an identical request has created."""
    account_name = upload.form.account_name
    if upload.idempotency_key is not None:
        stored = accounts.upload_of_key(connection, owner, upload.idempotency_key)
        if stored is not None:
            if (stored.sha256, stored.account_name) != (upload.sha256, account_name):
                raise _key_reused()
            return Uploaded(stored.portfolio_id, repeated=True)
    stored = accounts.upload_of_file(connection, owner, account_name, upload.sha256)
    return None if stored is None else Uploaded(stored.portfolio_id, repeated=True)


def _record(connection: Connection, owner: str, portfolio_id: int, upload: Upload) -> None:
    recorded = accounts.record_upload(
        connection,
        owner,
        portfolio_id,
        sha256=upload.sha256,
        idempotency_key=upload.idempotency_key,
        rows=len(upload.positions),
    )
    if not recorded:
        raise _key_reused()


def _key_reused() -> ConflictError:
    return ConflictError(
        "ERR_IDEMPOTENCY_KEY", "this Idempotency-Key belongs to another request", "Send a new key with a new request"
    )


def account_exists(name: str) -> RejectedError:
    """Return the error to raise when the owner has another account of that name."""
    return RejectedError(Code.ACCOUNT_EXISTS, f"you have an account named {name} already")


def symbol_requests(positions: Iterable[NewPosition], needed_from: date) -> list[SymbolRequest]:
    """Return the symbols with a market price that these positions need, once each; an option needs its underlying too.

    Parameters
    ----------
    needed_from : date
        The first session whose price is needed.
    """
    requests: dict[str, SymbolRequest] = {}
    for position in positions:
        if position.contract is not None:
            underlying = position.contract.underlying
            requests.setdefault(underlying, SymbolRequest(underlying, Kind.EQUITY, needed_from))
            requests[position.symbol] = SymbolRequest(position.symbol, Kind.OPTION, needed_from, position.contract)
        elif position.investment_class != PRIVATE:
            kind = Kind.ETF if position.investment_subtype in FUNDS else Kind.EQUITY
            requests[position.symbol] = SymbolRequest(position.symbol, kind, needed_from)
    return list(requests.values())

"""Rows that users own: portfolios, positions and uploads.

Every function takes the owner. Another owner's row is treated like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.dialects.postgresql import insert

from closingbell.errors import NotFoundError
from closingbell.repositories import queue
from closingbell.repositories.tables import Upload


@dataclass(frozen=True)
class Account:
    """A portfolio with its latest snapshot."""

    id: int
    name: str
    account_name: str
    account_type: str
    equity_balance: Decimal
    inception: date
    created_at: datetime
    stale_since: datetime | None
    positions: int
    snapshot: Snapshot | None

    @property
    def up_to_date(self) -> bool:
        """Return whether the snapshot reflects the ledger and every known symbol."""
        return self.stale_since is None


@dataclass(frozen=True)
class Snapshot:
    """A portfolio at the close of a session; the columns of `portfolio_snapshots`."""

    session: date
    status: str
    nav: Decimal
    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    gross: Decimal
    net: Decimal
    leverage: float | None
    daily_pnl: Decimal
    daily_return: float | None
    cumulative_return: float | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    position_count: int
    coverage: float
    missing_symbols: list[str]
    stale_symbols: list[str]


_SNAPSHOT_COLUMNS = tuple(Snapshot.__dataclass_fields__)

_ACCOUNTS = f"""
    SELECT p.id, p.name, p.account_name, p.account_type, p.equity_balance, p.inception, p.created_at, p.stale_since,
           (SELECT count(*) FROM positions q WHERE q.portfolio_id = p.id AND q.deleted_at IS NULL) AS positions,
           {", ".join(f"s.{name} AS s_{name}" for name in _SNAPSHOT_COLUMNS)}
    FROM portfolios p
    LEFT JOIN LATERAL (
        SELECT * FROM portfolio_snapshots WHERE portfolio_id = p.id ORDER BY session DESC LIMIT 1
    ) AS s ON true
    WHERE p.owner = :owner AND p.deleted_at IS NULL
"""  # noqa: S608 - our own names


def require(connection: Connection, owner: str, portfolio_id: int) -> Account:
    """Return a portfolio with its latest snapshot.

    Raises
    ------
    NotFoundError
        If the owner has no such portfolio.
    """
    query = text(f"{_ACCOUNTS} AND p.id = :id")
    row = connection.execute(query, {"owner": owner, "id": portfolio_id}).mappings().one_or_none()
    if row is None:
        raise no_portfolio(portfolio_id)
    return _account(row)


def no_portfolio(portfolio_id: int) -> NotFoundError:
    """Return the error to raise when the owner has no such portfolio."""
    return NotFoundError(f"there is no portfolio {portfolio_id}")


def page(connection: Connection, owner: str, after: int, most: int) -> list[Account]:
    """Return at most `most` portfolios with keys above `after`, in the order of their keys."""
    query = text(f"{_ACCOUNTS} AND p.id > :after ORDER BY p.id LIMIT :most")
    rows = connection.execute(query, {"owner": owner, "after": after, "most": most}).mappings()
    return [_account(row) for row in rows]


def _account(row: RowMapping) -> Account:
    own = {name: row[name] for name in Account.__dataclass_fields__ if name != "snapshot"}
    latest = {name: row[f"s_{name}"] for name in _SNAPSHOT_COLUMNS}
    return Account(**own, snapshot=None if latest["session"] is None else Snapshot(**latest))


def rename(connection: Connection, owner: str, portfolio_id: int, changes: Mapping[str, str]) -> bool:
    """Change name, account name or account type; return False if another portfolio has that account name."""
    columns = {name: changes[name] for name in ("name", "account_name", "account_type") if name in changes}
    taken = text("""
        SELECT 1 FROM portfolios
        WHERE owner = :owner AND account_name = :account_name AND deleted_at IS NULL AND id <> :id
    """)
    values = {"owner": owner, "id": portfolio_id, **columns}
    if "account_name" in columns and connection.execute(taken, values).scalar():
        return False
    if columns:
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        statement = f"UPDATE portfolios SET {assignments} WHERE id = :id AND owner = :owner"  # noqa: S608 - our own names
        connection.execute(text(statement), values)
    return True


def delete(connection: Connection, owner: str, portfolio_id: int) -> bool:
    """Mark a portfolio as deleted; its rows stay stored, but hidden. Return whether it existed."""
    statement = text("""
        UPDATE portfolios SET deleted_at = now(), stale_since = NULL
        WHERE id = :id AND owner = :owner AND deleted_at IS NULL RETURNING id
    """)
    return connection.execute(statement, {"owner": owner, "id": portfolio_id}).scalar() is not None


# ---------------------------------------------------------------- uploads


@dataclass(frozen=True)
class StoredUpload:
    """An earlier upload: the portfolio that it created, the account's name and the digest of its file."""

    portfolio_id: int
    account_name: str
    sha256: str


_UPLOADS = """
    SELECT u.portfolio_id, p.account_name, u.sha256 FROM uploads u JOIN portfolios p ON p.id = u.portfolio_id
    WHERE u.owner = :owner AND p.deleted_at IS NULL
"""


def upload_of_key(connection: Connection, owner: str, idempotency_key: str) -> StoredUpload | None:
    """Return the upload that was made under an idempotency key."""
    return _upload(connection, "u.idempotency_key = :key", owner=owner, key=idempotency_key)


def upload_of_file(connection: Connection, owner: str, account_name: str, sha256: str) -> StoredUpload | None:
    """Return the upload of the same file to the account with that name."""
    condition = "p.account_name = :account_name AND u.sha256 = :sha256"
    return _upload(connection, condition, owner=owner, account_name=account_name, sha256=sha256)


def _upload(connection: Connection, condition: str, **values: str) -> StoredUpload | None:
    row = connection.execute(text(f"{_UPLOADS} AND {condition}"), values).one_or_none()
    return None if row is None else StoredUpload(*row)


def record_upload(
    connection: Connection, owner: str, portfolio_id: int, *, sha256: str, idempotency_key: str | None, rows: int
) -> bool:
    """Store an upload; return False if another upload has the same idempotency key."""
    statement = (
        insert(Upload)
        .values(portfolio_id=portfolio_id, owner=owner, sha256=sha256, idempotency_key=idempotency_key, rows=rows)
        .on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
        .returning(Upload.id)
    )
    return connection.execute(statement).scalar() is not None


# ---------------------------------------------------------------- positions and their symbols


@dataclass(frozen=True)
class Held:
    """A position with the state of its symbol; the last five fields are None for a private asset."""

    id: int
    portfolio_id: int
    symbol: str
    investment_class: str
    investment_subtype: str | None
    position_type: str
    quantity: Decimal
    quantity_as_of: date
    entry_price: Decimal
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    symbol_id: int | None
    symbol_status: str | None
    requested: bool | None
    leased: bool | None
    last_error: str | None


_POSITIONS = f"""
    SELECT q.id, q.portfolio_id, q.symbol, q.investment_class, q.investment_subtype, q.position_type, q.quantity,
           q.quantity_as_of, q.entry_price, q.entry_date, q.exit_price, q.exit_date, q.symbol_id,
           u.status AS symbol_status,
           {queue.REQUESTED} AS requested,
           u.leased_by IS NOT NULL AS leased, u.last_error
    FROM positions q JOIN portfolios p ON p.id = q.portfolio_id
    LEFT JOIN symbol_universe u ON u.id = q.symbol_id
    WHERE p.owner = :owner AND p.id = :portfolio_id AND p.deleted_at IS NULL AND q.deleted_at IS NULL
"""  # noqa: S608 - our own condition


def positions(
    connection: Connection, owner: str, portfolio_id: int, after: int = 0, most: int | None = None
) -> list[Held]:
    """Return the positions of a portfolio with keys above `after`, in the order of their keys."""
    query = text(f"{_POSITIONS} AND q.id > :after ORDER BY q.id LIMIT :most")
    values = {"owner": owner, "portfolio_id": portfolio_id, "after": after, "most": most}
    return [Held(**row) for row in connection.execute(query, values).mappings()]


def require_position(connection: Connection, owner: str, portfolio_id: int, position_id: int) -> Held:
    """Return one position.

    Raises
    ------
    NotFoundError
        If the owner has no such position.
    """
    query = text(f"{_POSITIONS} AND q.id = :id")
    values = {"owner": owner, "portfolio_id": portfolio_id, "id": position_id}
    row = connection.execute(query, values).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no position {position_id} in portfolio {portfolio_id}")
    return Held(**row)


_OWN_POSITION = "q.id = :id AND q.portfolio_id IN (SELECT p.id FROM portfolios p WHERE p.owner = :owner)"
"""SQL condition: row `q` of `positions` belongs to the owner."""

CHANGEABLE = (
    *("symbol", "symbol_id", "investment_class", "investment_subtype", "position_type"),
    *("quantity", "quantity_as_of", "entry_price", "entry_date", "exit_price", "exit_date"),
)


def change_position(connection: Connection, owner: str, position_id: int, changes: Mapping[str, Any]) -> None:
    """Overwrite some columns of an owner's position."""
    assignments = ", ".join(f"{name} = :{name}" for name in CHANGEABLE if name in changes)
    statement = text(f"UPDATE positions q SET {assignments} WHERE {_OWN_POSITION}")  # noqa: S608 - our own names
    connection.execute(statement, {**changes, "id": position_id, "owner": owner})


def split_lot(
    connection: Connection, owner: str, position_id: int, *, quantity: Decimal, exit_price: Decimal, exit_date: date
) -> int:
    """Move some units of an owner's position into a new, closed lot; return the key of that lot."""
    statement = text(f"""
        WITH rest AS (
            UPDATE positions q SET quantity = quantity - :quantity WHERE {_OWN_POSITION} RETURNING q.*
        )
        INSERT INTO positions (portfolio_id, symbol, symbol_id, investment_class, investment_subtype, position_type,
                               quantity, quantity_as_of, entry_price, entry_date, exit_price, exit_date)
        SELECT portfolio_id, symbol, symbol_id, investment_class, investment_subtype, position_type,
               :quantity, quantity_as_of, entry_price, entry_date, :exit_price, :exit_date
        FROM rest RETURNING id
    """)  # noqa: S608 - our own condition
    values = {"quantity": quantity, "exit_price": exit_price, "exit_date": exit_date}
    key: int = connection.execute(statement, {**values, "id": position_id, "owner": owner}).scalar_one()
    return key


def delete_position(connection: Connection, owner: str, position_id: int) -> None:
    """Mark an owner's position as deleted."""
    statement = text(f"UPDATE positions q SET deleted_at = now() WHERE {_OWN_POSITION}")  # noqa: S608 - our own condition
    connection.execute(statement, {"id": position_id, "owner": owner})


def value_by_hand(connection: Connection, owner: str, position_id: int, day: date, price: Decimal) -> None:
    """Store the value per unit of an owner's position from a day on."""
    statement = text(f"""
        INSERT INTO position_valuations (position_id, day, price)
        SELECT q.id, :day, :price FROM positions q WHERE {_OWN_POSITION}
        ON CONFLICT (position_id, day) DO UPDATE SET price = excluded.price
    """)  # noqa: S608 - our own condition
    connection.execute(statement, {"id": position_id, "owner": owner, "day": day, "price": price})

"""The API as its users see it: upload, follow, read, correct."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from plant import LAST, Install, copy_of, hashes, this_process_on
from provider_contract import nyse
from sqlalchemy import text
from sqlalchemy.exc import NoResultFound
from uploading import FORM, HEADER, STOCKS, client_of, csv_of, forget_symbol, onboard, rows_of, upload, write_portfolios

from closingbell.accounts import OwnPortfolios
from closingbell.analytics.portfolios import PortfolioQueries
from closingbell.batch.steps import step_names
from closingbell.calculations.factor_definitions import FACTORS
from closingbell.errors import NotFoundError
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.install.seeding import LOCAL_OWNER
from closingbell.ledger.uploads import MAX_BYTES, TEMPLATE
from closingbell.operations.jobs import JobType
from closingbell.operations.mode import Mode
from closingbell.providers.demo import DemoProvider
from closingbell.repositories import accounts, run_records
from closingbell.repositories.database import Database

RANGE = "RRC"
"""A stock that the tests remove from the plant, so that it can be onboarded."""

OWNED = ("portfolios", "positions", "position_valuations", "equity_changes", "uploads", "portfolio_snapshots")
PORTFOLIO_TABLES = ("portfolio_snapshots", "factor_exposures", "position_factor_exposures")


class Api:
    """A client, and the database below it."""

    def __init__(self, client: TestClient, database: Database, demo: DemoProvider) -> None:
        self.client = client
        self.database = database
        self.demo = demo

    def status(self, portfolio_id: int) -> dict[str, Any]:
        """Return the onboarding status of a portfolio."""
        answer: dict[str, Any] = self.client.get(f"/api/v1/onboarding/status/{portfolio_id}").json()
        return answer

    def positions(self, portfolio_id: int) -> list[dict[str, Any]]:
        """Return all positions of a portfolio."""
        items: list[dict[str, Any]] = self.client.get(f"/api/v1/portfolios/{portfolio_id}/positions").json()["items"]
        return items

    def assert_equal_to_the_batch(self) -> None:
        """Check that the portfolio rows of the newest session are those that the batch writes."""
        before = hashes(self.database, PORTFOLIO_TABLES)
        write_portfolios(self.database)
        assert hashes(self.database, PORTFOLIO_TABLES) == before


@pytest.fixture
def api(server: EmbeddedPostgres, computed_template: str, tmp_path: Path, demo: DemoProvider) -> Iterator[Api]:
    database = copy_of(server, computed_template)
    with this_process_on(tmp_path, database), client_of() as client:
        yield Api(client, database, demo)


# ---------------------------------------------------------------- uploading


def test_a_portfolio_of_known_symbols_is_valued_in_the_answer_as_the_batch_would(api: Api) -> None:
    answer = upload(api.client, csv_of(STOCKS))
    assert answer.status_code == 201
    created = answer.json()
    assert (created["status"], created["percent"], created["pending"], created["failed"]) == ("completed", 100, [], [])
    assert created["mode"] == "v2_instant"
    assert created["known"] == sorted(STOCKS)
    assert created["snapshot"]["as_of"] == LAST.isoformat()
    assert created["snapshot"]["status"] == "complete"
    assert created["snapshot"]["nav"] == "100000.00"
    api.assert_equal_to_the_batch()
    with api.database.transaction() as connection:
        exposures = connection.execute(
            text("SELECT count(*) FROM factor_exposures WHERE portfolio_id = :id"), {"id": created["portfolio_id"]}
        )
        assert exposures.scalar() == len(FACTORS)


def test_an_unknown_symbol_leaves_a_partial_portfolio_that_is_complete_once_it_is_onboarded(api: Api) -> None:
    batch = rows_of(api.database, RANGE)
    forget_symbol(api.database, RANGE)

    created = upload(api.client, csv_of([*STOCKS, RANGE])).json()
    assert (created["status"], created["pending"]) == ("pending", [RANGE])
    assert created["snapshot"]["status"] == "partial"
    assert created["snapshot"]["coverage"] == pytest.approx(19 / 20)
    assert created["phases"][0] == {"phase": "symbols", "done": 19, "total": 20}

    onboard(api.database, api.demo)

    status = api.status(created["portfolio_id"])
    assert (status["status"], status["percent"], status["pending"]) == ("completed", 100, [])
    assert rows_of(api.database, RANGE) == batch
    api.assert_equal_to_the_batch()


def test_an_option_requests_its_underlying_too(api: Api) -> None:
    forget_symbol(api.database, RANGE)
    content = f"{HEADER}\nRRC230616C00025000,2,3.5,2022-11-01\n"
    created = upload(api.client, content).json()
    assert created["pending"] == ["RRC230616C00025000"]
    assert {outcome.symbol for outcome in onboard(api.database, api.demo).symbols} == {RANGE, "RRC230616C00025000"}
    assert api.status(created["portfolio_id"])["status"] == "completed"
    api.assert_equal_to_the_batch()


def test_an_option_that_expired_long_ago_needs_no_price(api: Api) -> None:
    content = f"{HEADER}\nAAPL200117C00300000,2,3.5,2019-11-01\nAAPL,1,100,2019-11-01\n"
    created = upload(api.client, content).json()
    assert created["pending"] == ["AAPL200117C00300000"]
    assert onboard(api.database, api.demo).failed == {}
    status = api.status(created["portfolio_id"])
    assert (status["status"], status["failed"]) == ("completed", [])
    assert [position["state"] for position in api.positions(created["portfolio_id"])] == ["closed", "open"]


def test_an_earlier_inception_is_valued_with_prices_that_reach_as_far_back(api: Api) -> None:
    created = upload(api.client, csv_of(["AAPL", "KO"]), inception_date="2019-05-01").json()
    # Both symbols are known, but their prices of that time are not.
    assert (created["status"], created["pending"]) == ("pending", ["AAPL", "KO"])
    onboard(api.database, api.demo)
    assert api.status(created["portfolio_id"])["status"] == "completed"
    api.assert_equal_to_the_batch()
    with api.database.transaction() as connection:
        first = connection.execute(text("SELECT min(history_from) FROM symbol_universe WHERE symbol = 'AAPL'")).scalar()
    assert first == date(2019, 4, 24)


def test_a_future_inception_waits_for_its_session(api: Api) -> None:
    created = upload(api.client, csv_of(["AAPL"]), inception_date="2023-01-03").json()
    assert (created["status"], created["snapshot"]) == ("pending", None)


def test_private_assets_need_no_symbol(api: Api) -> None:
    created = upload(api.client, f"{HEADER}\nMY_HOUSE,1,500000,2020-01-01\n").json()
    assert (created["status"], created["private"], created["known"]) == ("completed", ["MY_HOUSE"], [])
    assert created["snapshot"]["long_value"] == "500000.00"


def test_twenty_thousand_rows_of_as_many_symbols_are_stored(api: Api) -> None:
    rows = "\n".join(f"S{number},1,1,2022-01-03" for number in range(20_000))
    created = upload(api.client, f"{HEADER}\n{rows}\n").json()
    assert (created["positions"], len(created["pending"])) == (20_000, 20_000)


# ---------------------------------------------------------------- the same upload twice


def test_the_same_file_for_the_same_account_returns_the_first_import(api: Api) -> None:
    first = upload(api.client, csv_of(["AAPL"]))
    again = upload(api.client, csv_of(["AAPL"]))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "repeated": True}
    assert len(api.client.get("/api/v1/portfolios").json()["items"]) == 4


def test_another_file_for_an_account_that_exists_is_refused(api: Api) -> None:
    upload(api.client, csv_of(["AAPL"]))
    refused = upload(api.client, csv_of(["MSFT"]))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ERR_PORT_001")


def test_an_idempotency_key_creates_one_portfolio_and_belongs_to_its_request(api: Api) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    first = upload(api.client, csv_of(["AAPL"]), headers=key)
    again = upload(api.client, csv_of(["AAPL"]), headers=key)
    assert again.json()["portfolio_id"] == first.json()["portfolio_id"]
    other = upload(api.client, csv_of(["MSFT"]), headers=key, account_name="Other")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "ERR_IDEMPOTENCY_KEY")


def test_the_account_and_the_file_of_a_deleted_portfolio_can_be_used_again(api: Api) -> None:
    first = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    assert api.client.delete(f"/api/v1/portfolios/{first}").status_code == 204
    again = upload(api.client, csv_of(["AAPL"]))
    assert again.status_code == 201
    assert again.json()["portfolio_id"] != first


# ---------------------------------------------------------------- refused uploads


@pytest.mark.parametrize(
    ("content", "form", "status", "code"),
    [
        (b"", {}, 422, "ERR_CSV_003"),
        (b"\x00\x01", {}, 422, "ERR_CSV_002"),
        (b"x" * (MAX_BYTES + 1), {}, 413, "ERR_CSV_001"),
        (f"{HEADER}\nAAPL,0,1,2022-01-03\n", {}, 422, "ERR_PORT_008"),
        (csv_of(["AAPL"]), {"portfolio_name": " "}, 422, "ERR_PORT_002"),
        (csv_of(["AAPL"]), {"account_type": "savings"}, 422, "ERR_PORT_009"),
        (csv_of(["AAPL"]), {"equity_balance": "1e13"}, 422, "ERR_PORT_006"),
        (csv_of(["AAPL"]), {"inception_date": "1950-01-01"}, 422, "ERR_POS_015"),
    ],
)
def test_a_bad_upload_is_refused_with_its_code_and_nothing_is_stored(
    api: Api, content: bytes | str, form: dict[str, str], status: int, code: str
) -> None:
    refused = upload(api.client, content, None, **form)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert refused.headers["content-type"] == "application/problem+json"
    with api.database.transaction() as connection:
        counts = connection.execute(text("SELECT (SELECT count(*) FROM portfolios), (SELECT count(*) FROM uploads)"))
        assert tuple(counts.one()) == (3, 0)


def test_every_bad_row_is_reported_with_its_place(api: Api) -> None:
    error = upload(api.client, f"{HEADER}\n,1,1,2022-01-03\nAAPL,x,1,2022-01-03\n").json()["error"]
    assert [(detail["row"], detail["column"], detail["code"], detail["value"]) for detail in error["details"]] == [
        (2, "Symbol", "ERR_POS_001", None),
        (3, "Quantity", "ERR_POS_005", "x"),
    ]


def test_a_form_without_a_file_is_refused(api: Api) -> None:
    refused = api.client.post("/api/v1/onboarding/create-portfolio", data=FORM)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "ERR_PORT_007")


def test_a_body_without_a_length_is_cut_off_once_it_is_too_large(api: Api) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        while True:
            sent += 65_536
            yield b"x" * 65_536
            assert sent < 4 * MAX_BYTES

    refused = api.client.post(
        "/api/v1/onboarding/create-portfolio",
        content=_limited(body(), MAX_BYTES + 200_000),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "ERR_CSV_001")


def _limited(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield chunks until there are `most` bytes."""
    for chunk in chunks:
        yield chunk
        most -= len(chunk)
        if most < 0:
            return


def test_an_invalid_request_is_answered_with_a_problem(api: Api) -> None:
    answer = api.client.get("/api/v1/portfolios?limit=501")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "ERR_REQUEST")
    assert api.client.get("/api/v1/nothing").json()["error"]["code"] == "ERR_HTTP_404"


# ---------------------------------------------------------------- unknown tickers


def test_an_unknown_ticker_has_a_reason_and_suggestions(api: Api) -> None:
    created = upload(api.client, csv_of(["MSFT", "APPL"])).json()
    onboard(api.database, api.demo)
    status = api.status(created["portfolio_id"])
    assert status["status"] == "partial"
    assert status["failed"] == [{"symbol": "APPL", "reason": "not_found: the demo data has no symbol APPL"}]
    unknown = api.positions(created["portfolio_id"])[1]
    assert (unknown["data_status"], unknown["value"]) == ("unavailable", None)
    assert unknown["suggestions"][0] == "AAPL"


def test_a_portfolio_of_only_unknown_tickers_has_failed(api: Api) -> None:
    created = upload(api.client, csv_of(["NOPE"])).json()
    onboard(api.database, api.demo)
    assert api.status(created["portfolio_id"])["status"] == "failed"


def test_an_unknown_ticker_can_be_edited_and_three_equal_edits_become_an_alias(api: Api) -> None:
    from closingbell.repositories import aliases  # noqa: PLC0415

    for number in range(3):
        created = upload(api.client, csv_of(["MSFT", "FACEBOOK"]), account_name=f"account {number}").json()
        onboard(api.database, api.demo)
        unknown = api.positions(created["portfolio_id"])[1]
        address = f"/api/v1/portfolios/{created['portfolio_id']}/positions/{unknown['id']}"
        edited = api.client.patch(address, json={"symbol": "kO"})
        assert edited.status_code == 200, edited.json()
        assert (edited.json()["symbol"], edited.json()["data_status"]) == ("KO", "available")
        assert edited.json()["quantity"] == unknown["quantity"]
        assert api.status(created["portfolio_id"])["status"] == "completed"
    with api.database.transaction() as connection:
        assert aliases.derive_aliases(connection) == 1
    created = upload(api.client, csv_of(["FACEBOOK"]), account_name="another").json()
    assert api.positions(created["portfolio_id"])[0]["suggestions"] == ["KO"]
    api.assert_equal_to_the_batch()


def test_an_unknown_ticker_can_be_removed(api: Api) -> None:
    created = upload(api.client, csv_of(["MSFT", "NOPE"])).json()
    onboard(api.database, api.demo)
    unknown = api.positions(created["portfolio_id"])[1]
    gone = api.client.delete(f"/api/v1/portfolios/{created['portfolio_id']}/positions/{unknown['id']}")
    assert gone.status_code == 204
    assert api.status(created["portfolio_id"])["status"] == "completed"
    api.assert_equal_to_the_batch()


def test_an_edit_that_breaks_a_rule_of_the_file_is_refused(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(["MSFT"])).json()["portfolio_id"]
    address = f"/api/v1/portfolios/{portfolio_id}/positions/{api.positions(portfolio_id)[0]['id']}"
    refused = api.client.patch(address, json={"quantity": "NaN"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "ERR_POS_005")
    assert api.client.patch(address, json={"colour": "red"}).status_code == 422


# ---------------------------------------------------------------- portfolios and positions


def test_portfolios_and_positions_are_paged_by_key(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(STOCKS[:5])).json()["portfolio_id"]
    first = api.client.get("/api/v1/portfolios?limit=3").json()
    rest = api.client.get(f"/api/v1/portfolios?limit=3&after={first['next']}").json()
    assert [item["id"] for item in rest["items"]] == [portfolio_id]
    assert rest["next"] is None
    page = api.client.get(f"/api/v1/portfolios/{portfolio_id}/positions?limit=2").json()
    assert (page["as_of"], page["coverage"]) == (LAST.isoformat(), 1.0)
    assert [item["symbol"] for item in page["items"]] == list(STOCKS[:2])
    page = api.client.get(f"/api/v1/portfolios/{portfolio_id}/positions?limit=2&after={page['next']}").json()
    assert [item["symbol"] for item in page["items"]] == list(STOCKS[2:4])


def test_a_position_has_its_value_at_the_close_and_its_profit(api: Api) -> None:
    portfolio_id = upload(api.client, f"{HEADER}\nAAPL,-10.5,150.25,2022-03-01\n").json()["portfolio_id"]
    with api.database.transaction() as connection:
        close = connection.execute(
            text("""SELECT close FROM market_data_cache m JOIN symbol_universe u ON u.id = m.symbol_id
                    WHERE u.symbol = 'AAPL' AND session = :day"""),
            {"day": LAST},
        ).scalar_one()
    position = api.positions(portfolio_id)[0]
    assert position["state"] == "open"
    assert position["position_type"] == "SHORT"
    assert float(position["value"]) == pytest.approx(-10.5 * float(close), abs=0.006)
    assert float(position["price"]) == pytest.approx(float(close), abs=0.001)
    assert float(position["unrealized_pnl"]) == pytest.approx(-10.5 * (float(close) - 150.25), abs=0.011)


def test_a_removed_position_is_not_found_although_others_follow_it(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(STOCKS[:2])).json()["portfolio_id"]
    first, second = api.positions(portfolio_id)
    assert api.client.delete(f"/api/v1/portfolios/{portfolio_id}/positions/{first['id']}").status_code == 204
    queries = PortfolioQueries(api.database, nyse(), LOCAL_OWNER)
    with pytest.raises(NotFoundError):
        queries.position(portfolio_id, first["id"])
    assert queries.position(portfolio_id, second["id"]).symbol == second["symbol"]


def test_some_units_of_a_position_can_be_closed_and_then_the_rest(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    address = f"/api/v1/portfolios/{portfolio_id}/positions/{api.positions(portfolio_id)[0]['id']}/close"
    sale = {"exit_price": "120", "exit_date": "2022-12-01"}
    partial = api.client.post(address, json={**sale, "quantity": "4"})
    assert partial.status_code == 200, partial.json()
    rest, sold = api.positions(portfolio_id)
    assert (rest["quantity"], rest["state"], sold["quantity"], sold["state"]) == (
        "6.000000",
        "open",
        "4.000000",
        "closed",
    )
    assert (sold["id"], sold["realized_pnl"]) == (partial.json()["position_id"], "78.00")
    too_much = api.client.post(address, json={**sale, "quantity": "7"})
    assert (too_much.status_code, too_much.json()["error"]["code"]) == (409, "ERR_POSITION_QUANTITY")
    early = api.client.post(address, json={**sale, "exit_date": "2022-02-01"})
    assert (early.status_code, early.json()["error"]["code"]) == (422, "ERR_POS_018")
    assert api.client.post(address, json=sale).status_code == 200
    again = api.client.post(address, json=sale)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "ERR_POSITION_CLOSED")
    api.assert_equal_to_the_batch()


def test_a_private_asset_is_valued_by_hand_and_a_public_one_is_not(api: Api) -> None:
    content = f"{HEADER}\nMY_HOUSE,1,500000,2020-01-01\nAAPL,1,1,2022-01-03\n"
    portfolio_id = upload(api.client, content).json()["portfolio_id"]
    house, stock = api.positions(portfolio_id)
    address = f"/api/v1/portfolios/{portfolio_id}/positions"
    given = {"day": "2022-12-01", "price": "650000"}
    valued = api.client.put(f"{address}/{house['id']}/valuation", json=given)
    assert (valued.json()["value"], valued.json()["unrealized_pnl"]) == ("650000.00", "150000.00")
    refused = api.client.put(f"{address}/{stock['id']}/valuation", json=given)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ERR_NOT_PRIVATE")
    api.assert_equal_to_the_batch()


def test_a_portfolio_can_be_renamed_by_the_rules_of_the_form(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    address = f"/api/v1/portfolios/{portfolio_id}"
    changed = api.client.patch(address, json={"name": " New ", "account_type": "HSA"}).json()
    assert (changed["name"], changed["account_type"], changed["account_name"]) == ("New", "hsa", "Joint")
    taken = api.client.patch(address, json={"account_name": "Family Office Trust"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "ERR_PORT_001")
    assert api.client.patch(address, json={"name": ""}).json()["error"]["code"] == "ERR_PORT_002"


def test_calculating_again_writes_the_same_rows(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    before = hashes(api.database, PORTFOLIO_TABLES)
    calculated = api.client.post(f"/api/v1/portfolios/{portfolio_id}/calculate").json()
    assert calculated["up_to_date"] is True
    assert hashes(api.database, PORTFOLIO_TABLES) == before


def test_the_rows_of_another_user_are_not_found(api: Api) -> None:
    from api.context import current_owner  # noqa: PLC0415
    from api.main import app  # noqa: PLC0415

    portfolio_id = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    position = api.positions(portfolio_id)[0]["id"]
    before = hashes(api.database, OWNED)
    app.dependency_overrides[current_owner] = lambda: "another user"
    try:
        assert api.client.get("/api/v1/portfolios").json()["items"] == []
        requests = 0
        bodies = {
            "close": {"exit_price": "1", "exit_date": "2022-12-01"},
            "valuation": {"day": "2022-12-01", "price": "1"},
        }
        for path, methods in app.openapi()["paths"].items():
            if "{portfolio_id}" not in path:
                continue
            address = path.format(portfolio_id=portfolio_id, position_id=position)
            for method in methods:
                body = bodies.get(path.rsplit("/", 1)[-1], {})
                answer = api.client.request(method, address, json=body if method in {"post", "put", "patch"} else None)
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ERR_NOT_FOUND"), (method, path)
                requests += 1
        assert requests >= 10
    finally:
        app.dependency_overrides.clear()
    assert hashes(api.database, OWNED) == before


def test_a_position_cannot_be_changed_in_the_name_of_another_user(api: Api) -> None:
    portfolio_id = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    key = api.positions(portfolio_id)[0]["id"]
    before = hashes(api.database, OWNED)
    with api.database.transaction() as connection:
        accounts.change_position(connection, "another user", key, {"quantity": 1})
        accounts.value_by_hand(connection, "another user", key, LAST, Decimal(1))
        accounts.delete_position(connection, "another user", key)
        with pytest.raises(NoResultFound):
            accounts.split_lot(
                connection, "another user", key, quantity=Decimal(1), exit_price=Decimal(1), exit_date=LAST
            )
    assert hashes(api.database, OWNED) == before


# ---------------------------------------------------------------- documentation, figures, logs


def test_the_template_is_a_file_to_download(api: Api) -> None:
    answer = api.client.get("/api/v1/onboarding/csv-template")
    assert answer.text == TEMPLATE
    assert answer.headers["content-disposition"] == 'attachment; filename="portfolio-template.csv"'
    assert upload(api.client, answer.text).status_code == 201


def test_the_documentation_has_an_example_of_an_upload_and_its_refusals(api: Api) -> None:
    route = api.client.get("/openapi.json").json()["paths"]["/api/v1/onboarding/create-portfolio"]["post"]
    assert route["responses"]["201"]["content"]["application/json"]["example"]["mode"] == "v2_instant"
    assert {"409", "413", "422"} <= set(route["responses"])


def test_the_documentation_works_without_a_network(api: Api) -> None:
    page = api.client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any(address.endswith(".js") for address in addresses)
    for address in addresses:
        assert api.client.get(address).status_code == 200, address


def test_answered_requests_are_counted_by_their_route(api: Api) -> None:
    api.client.get("/api/v1/portfolios/1")
    api.client.get("/api/v1/portfolios/999999")
    api.client.__exit__()  # an application that stops stores the requests it has collected
    query = "SELECT route, status, duration_ms > 0 FROM api_requests ORDER BY id"
    with api.database.transaction() as connection:
        stored = [tuple(row) for row in connection.execute(text(query))]
    route = "GET /api/v1/portfolios/{portfolio_id}"
    assert stored == [(route, 200, True), (route, 404, True)]


def test_the_combined_batch_onboards_what_was_uploaded(api: Api, tmp_path: Path) -> None:
    batch = rows_of(api.database, RANGE)
    forget_symbol(api.database, RANGE)
    portfolio_id = upload(api.client, csv_of(["AAPL", RANGE])).json()["portfolio_id"]
    install = Install(tmp_path, api.database, {"BATCH_V2_ENABLED": "false"}).prepared()
    status, output, errors = install.call("run", "--from", LAST.isoformat(), "--to", LAST.isoformat())
    assert (status, errors) == (0, ""), output
    assert api.status(portfolio_id)["status"] == "completed"
    assert rows_of(api.database, RANGE) == batch


def test_the_log_of_an_upload_has_neither_quantities_nor_prices(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="closingbell"):
        upload(api.client, f"{HEADER}\nMSFT,987654,123.45,2022-03-01\n")
    assert "V2_ONBOARDING step=upload" in caplog.text
    assert not {"987654", "123.45"} & set(json.dumps(caplog.text).replace("=", " ").split())


# ---------------------------------------------------------------- for operators


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"job_type": "daily_batch"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job_type": "nonsense"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job_type": "symbol_batch", "from": "2022-12-25"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job_type": "symbol_batch", "to": "2023-01-03"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job_type": "symbol_batch", "from": "2000-12-29"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job_type": "symbol_batch", "from": "2022-12-28", "to": "2022-12-27"}, 400, "ERR_NOT_AVAILABLE"),
        ({"job": "symbol_batch"}, 422, "ERR_REQUEST"),
    ],
)
def test_a_job_that_cannot_be_started_is_refused(api: Api, body: dict[str, str], status: int, code: str) -> None:
    refused = api.client.post("/api/v1/admin/batch/run", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


def test_a_running_job_is_shown_with_its_steps(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.jobs import Job  # noqa: PLC0415 - imports Dagster

    now = datetime(2022, 12, 29, 2, 0, tzinfo=UTC)
    job = Job(JobType.PORTFOLIO_REFRESH, "run 1", "started", "api", LAST, LAST, now, now, None)
    earlier = Job(JobType.SYMBOL_BATCH, "run 2", "queued", "schedule", LAST, LAST, now, None, None)
    with api.database.transaction() as connection:
        for job_type, run_id in ((JobType.PORTFOLIO_REFRESH, "run 1"), (JobType.SYMBOL_BATCH, "run 0")):
            record = run_records.RunRecord(job_type, [LAST], run_id)
            run_records.begin(connection, record, "api", now)
            step = step_names(job_type)[0]
            run_records.record_step(connection, record, step=step, duration_ms=70, items=3, failed={})
    monkeypatch.setattr("api.jobs.active_jobs", lambda: [job, earlier])
    shown = api.client.get("/api/v1/admin/batch/run/current").json()
    assert shown["status"] == "running"
    assert shown["jobs"][0] == {
        "job_type": "portfolio_refresh",
        "run_id": "run 1",
        "status": "started",
        "trigger": "api",
        "first": LAST.isoformat(),
        "last": LAST.isoformat(),
        "created": "2022-12-29T02:00:00Z",
        "started": "2022-12-29T02:00:00Z",
        "phases": [
            {"phase": "portfolio_snapshots", "done": True, "duration_ms": 70},
            {"phase": "portfolio_factor_exposures", "done": False, "duration_ms": None},
        ],
        "percent": 50,
    }
    # The record of the session is still that of an earlier run.
    assert (shown["jobs"][1]["percent"], len(shown["jobs"][1]["phases"])) == (0, len(step_names(JobType.SYMBOL_BATCH)))


def test_the_combined_batch_is_started_for_unknown_symbols_only(api: Api) -> None:
    started = []

    def start(job_type: JobType, sessions: Sequence[date], trigger: str) -> str:
        started.append((job_type, list(sessions), trigger))
        return "run"

    own = OwnPortfolios(api.database, nyse(), LOCAL_OWNER)
    known = upload(api.client, csv_of(["AAPL"])).json()["portfolio_id"]
    unknown = upload(api.client, csv_of(["AAPL", "NEW"]), account_name="other").json()["portfolio_id"]
    own.start_batch(known, start, mode=Mode.COMBINED, latest=LAST)
    own.start_batch(unknown, start, mode=Mode.INSTANT, latest=LAST)
    assert started == []
    own.start_batch(unknown, start, mode=Mode.COMBINED, latest=LAST)
    assert started == [(JobType.DAILY_BATCH, [LAST], "upload")]


def test_the_queue_shows_waiting_and_failed_symbols(api: Api) -> None:
    upload(api.client, csv_of(["AAPL", "NOPE"]))
    onboard(api.database, api.demo)
    upload(api.client, csv_of(["AAPL", "LATER"]), account_name="other")
    shown = api.client.get("/api/v1/admin/onboarding/queue").json()
    assert (shown["due"], shown["open"]) == (1, 1)
    assert [(item["symbol"], item["status"], item["attempts"]) for item in shown["items"]] == [
        ("LATER", "pending", 0),
        ("NOPE", "failed", 1),
    ]

"""Fixtures that all tests share: a real PostgreSQL, and a separate database in it for each test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from unittest.mock import patch

import pytest

from cli.install import DAGSTER_ENVIRONMENT
from closingbell.batch.factors import compute_factors
from closingbell.batch.prices import refresh_prices
from closingbell.install.postgres import EmbeddedPostgres
from closingbell.install.seeding import seed
from closingbell.providers.demo import DemoProvider
from closingbell.repositories import schema
from closingbell.repositories.database import Database

pytest.register_assert_rewrite("plant", "plant_on_dagster", "provider_contract", "serving", "uploading")

from plant import LAST, Install, copy_of, last_sessions, run_batch  # noqa: E402 - after their registration
from provider_contract import nyse  # noqa: E402

if TYPE_CHECKING:
    from plant_on_dagster import Plant

# The developer's own settings must not reach the tests.
for variable in [
    name for name in os.environ if name.startswith(("BATCH_", "CLOSINGBELL_", "DATABASE_URL", "DAGSTER_"))
]:
    del os.environ[variable]
os.environ["CLOSINGBELL_ENV_FILE"] = os.devnull
os.environ["BATCH_V2_ENABLED"] = "true"
# Dagster reads these as it is imported.
os.environ.update(DAGSTER_ENVIRONMENT)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses PostgreSQL as `plant`; a test that starts processes itself carries the marker."""
    for item in items:
        if isinstance(item, pytest.Function) and "server" in item.fixturenames:
            item.add_marker("plant")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Let only tests that are marked as `plant` start processes in their fixtures."""
    with _processes_of(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Let only tests that are marked as `plant` start processes."""
    with _processes_of(item):
        yield


@contextmanager
def _processes_of(item: pytest.Item) -> Iterator[None]:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        pytest.fail("a test that starts a process must be marked: pytestmark = pytest.mark.plant")

    if item.get_closest_marker("plant"):
        yield
    else:
        with patch.object(subprocess.Popen, "__init__", refuse):
            yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server for the entire test session."""
    postgres = EmbeddedPostgres(Path(tmp_path_factory.mktemp("server")) / "postgres")
    postgres.acquire()
    yield postgres
    postgres.release()


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """A database that has all tables and no rows, which others are copied from."""
    database = Database(server.url("template_of_tests"))
    database.create()
    schema.upgrade(database)
    return "template_of_tests"


@pytest.fixture
def database(server: EmbeddedPostgres, template: str) -> Database:
    """A migrated database of the test's own."""
    return copy_of(server, template)


@pytest.fixture(scope="session")
def demo() -> DemoProvider:
    """The demo provider, which takes a moment to read its files."""
    return DemoProvider()


@pytest.fixture(scope="session")
def seeded_template(server: EmbeddedPostgres, template: str, demo: DemoProvider) -> str:
    """A database with the factors, the demo's symbols and its portfolios."""
    database = copy_of(server, template)
    seed(database, demo, nyse(), LAST)
    return str(database.url.database)


@pytest.fixture
def seeded(server: EmbeddedPostgres, seeded_template: str) -> Database:
    """A database of the test's own with the demo's symbols and portfolios, and no prices."""
    return copy_of(server, seeded_template)


@pytest.fixture(scope="session")
def computed_template(server: EmbeddedPostgres, seeded_template: str, demo: DemoProvider) -> str:
    """The demo with its last three sessions computed."""
    database = copy_of(server, seeded_template)
    run_batch(database, demo, last_sessions(3))
    return str(database.url.database)


@pytest.fixture
def computed(server: EmbeddedPostgres, computed_template: str) -> Database:
    """A database of the test's own with the demo and its last three sessions."""
    return copy_of(server, computed_template)


@pytest.fixture
def install(server: EmbeddedPostgres, seeded_template: str, tmp_path: Path) -> Install:
    """An install whose tables are seeded, on the tests' own server."""
    return Install(tmp_path, copy_of(server, seeded_template))


@pytest.fixture
def plant(server: EmbeddedPostgres, seeded_template: str, tmp_path: Path) -> Iterator[Plant]:
    """An install in this process, with a database of its own."""
    from plant_on_dagster import plant_in  # noqa: PLC0415 - imports dagster, which not every test needs

    with plant_in(tmp_path, copy_of(server, seeded_template)) as prepared:
        yield prepared


@pytest.fixture(scope="session")
def undisturbed(server: EmbeddedPostgres, seeded_template: str, demo: DemoProvider) -> Database:
    """A database with the rows of a night in which no process is killed."""
    from serving import NIGHT  # noqa: PLC0415 - imports dagster, which not every test needs

    database = copy_of(server, seeded_template)
    sessions = nyse().sessions(date.fromisoformat(NIGHT[0]), date.fromisoformat(NIGHT[1]))
    refresh_prices(database, sessions, provider=demo, calendar=nyse())
    compute_factors(database, sessions, calendar=nyse())
    return database

"""Settings: from environment variables, then from the file ``.env`` beside the code, then from defaults."""

from __future__ import annotations

import os
from datetime import date, datetime
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from closingbell.errors import ConfigurationError
from closingbell.operations.mode import Mode
from closingbell.repositories.database import backend_of

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: where `.env`, `workspace.yaml` and the default data folder lie."""


class Settings(BaseSettings):
    """Everything that differs between installs."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(
        ROOT / "var",
        validation_alias="CLOSINGBELL_HOME",
        description="Folder of the embedded database, Dagster's files and logs.",
    )
    database_url: str | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="URL of PostgreSQL for the product's tables; none: the embedded server.",
    )
    dagster_database_url: str | None = Field(
        None,
        validation_alias="DAGSTER_DATABASE_URL",
        description="URL of PostgreSQL for Dagster's storage; none: the database <name>_dagster beside DATABASE_URL.",
    )
    batch_v2_enabled: bool = Field(
        default=False,
        validation_alias="BATCH_V2_ENABLED",
        description="Two nightly jobs and instant onboarding; false: one combined batch.",
    )
    alert_webhook: str | None = Field(
        None, validation_alias="CLOSINGBELL_ALERT_WEBHOOK", description="URL that alerts are sent to as JSON."
    )
    clock: datetime | None = Field(
        None,
        validation_alias="CLOSINGBELL_CLOCK",
        description="The time that sensors plan by, for rehearsals; none: the wall clock.",
    )
    provider: str = Field(
        "demo", validation_alias="CLOSINGBELL_PROVIDER", description="Name of the market-data provider."
    )
    first_partition: date = Field(
        date(2001, 1, 2),
        validation_alias="CLOSINGBELL_FIRST_PARTITION",
        description="The first session that has a partition.",
    )
    extra_closures: tuple[date, ...] = Field(
        (),
        validation_alias="CLOSINGBELL_EXTRA_CLOSURES",
        description="Announced closures that are not in the exchange's rules, as a JSON list of dates.",
    )
    webserver_port: int = Field(
        3000, validation_alias="CLOSINGBELL_WEBSERVER_PORT", ge=1, le=65535, description="Port of the Dagster UI."
    )
    api_port: int = Field(8000, validation_alias="CLOSINGBELL_API_PORT", ge=1, le=65535, description="Port of the API.")

    @field_validator("database_url", "dagster_database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is None:
            return None
        backend = backend_of(value)
        if backend != "postgresql":
            raise ValueError(f"must be a postgresql:// URL, but is {backend}")
        return value

    @property
    def mode(self) -> Mode:
        """Return the mode in which the plant runs."""
        return Mode.INSTANT if self.batch_v2_enabled else Mode.COMBINED

    @property
    def dagster_home(self) -> Path:
        """Return the folder of Dagster's configuration and logs."""
        return self.home.absolute() / "dagster"


@cache
def load_settings() -> Settings:
    """Read the settings once per process.

    Raises
    ------
    ConfigurationError
        If a setting is invalid; the message names the variable.
    """
    env_file = Path(os.environ.get("CLOSINGBELL_ENV_FILE", ROOT / ".env"))
    try:
        return Settings(_env_file=env_file)
    except SettingsError as error:
        raise ConfigurationError(
            f"a setting is not valid JSON: {error}", f"Correct it in the environment or in {env_file}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        variable = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the setting {variable} is wrong: {first['msg']}", f"Correct it in the environment or in {env_file}"
        ) from error

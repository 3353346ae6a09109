"""Settings come from the environment, are read once where a process starts, and are refused there when wrong."""

import sys
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit import crash_points
from services.kit.redis_url import addresses, broker_beside

DEVELOPMENT_OPERATOR_KEY = "development-operator-key"
EXIT_CONFIGURATION = 78
"""sysexits' EX_CONFIG: starting again will not help."""


class Settings(BaseSettings):
    """What every process needs to know."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    environment: Literal["development", "production"] = Field("development", validation_alias="BATON_ENV")
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    log_format: Literal["console", "json"] = Field("console", validation_alias="BATON_LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="BATON_LOG_LEVEL")

    crash: str | None = Field(None, validation_alias="BATON_CRASH")

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, url: str) -> str:
        addresses(url)
        return url

    @field_validator("crash")
    @classmethod
    def _crash_point(cls, setting: str | None) -> str | None:
        if setting is not None:
            crash_points.parse(setting)
        return setting

    @model_validator(mode="after")
    def _crashes_in_development_alone(self) -> Self:
        if self.crash is not None and self.is_production:
            raise ValueError("BATON_CRASH: a process is made to crash in development alone")
        return self

    @property
    def is_production(self) -> bool:
        return self.environment == "production"


class BrokerSettings(Settings):
    """For processes that speak to Celery."""

    broker_url: str | None = Field(None, validation_alias="CELERY_BROKER_URL")

    @field_validator("broker_url")
    @classmethod
    def _no_cluster(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme not in {"redis", "rediss"}:
            raise ValueError("must begin with redis:// or rediss://: Celery's broker is one server, never a cluster")
        return url

    @model_validator(mode="after")
    def _has_a_broker(self) -> Self:
        try:
            _ = self.broker
        except ValueError as error:
            raise ValueError(f"CELERY_BROKER_URL: {error}") from error
        return self

    @property
    def broker(self) -> str:
        """The broker's address: database 1 beside the rest, unless it has an address of its own."""
        return self.broker_url or broker_beside(self.redis_url)


class DatabaseSettings(Settings):
    """For processes that own a schema."""

    database_url: str = Field("postgresql://baton@127.0.0.1:5432/baton", validation_alias="DATABASE_URL")
    pool_size: int = Field(20, ge=1, le=200, validation_alias="BATON_POOL_SIZE")

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, url: str) -> str:
        if urlsplit(url).scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise ValueError("must begin with postgresql://")
        return url.replace("postgres://", "postgresql://", 1)


class RoomSettings(Settings):
    """For processes that tell rooms."""

    finished_room_s: int = Field(3600, ge=10, validation_alias="BATON_FINISHED_ROOM_S")


def split(value: str) -> list[str]:
    """The parts of a comma-separated setting."""
    return [part.strip() for part in value.split(",") if part.strip()]


SettingsT = TypeVar("SettingsT", bound=Settings)


def load(settings: type[SettingsT]) -> SettingsT:
    """The process's settings; ends the process with a clear message where one is wrong."""
    try:
        loaded = settings()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            print(f"configuration: {name + ': ' if name else ''}{message}", file=sys.stderr)  # noqa: T201 (before logging)
        raise SystemExit(EXIT_CONFIGURATION) from error
    if loaded.crash is not None:
        crash_points.arm(loaded.crash)
    return loaded

"""The worker's settings."""

from pydantic import Field

from services.kit.settings import BrokerSettings, DatabaseSettings


class WorkerSettings(DatabaseSettings, BrokerSettings):
    """Beside what all need: when a lobby counts as abandoned."""

    abandoned_after_s: int = Field(6 * 3600, ge=60, validation_alias="BATON_ABANDONED_AFTER_S")

"""The worker's settings."""

from pathlib import Path

from pydantic import Field

from services.kit.settings import BrokerSettings, DatabaseSettings, RoomSettings


class WorkerSettings(DatabaseSettings, BrokerSettings, RoomSettings):
    """Beside what all need: when a lobby counts as abandoned, and which file is touched as a sign of life, if any."""

    abandoned_after_s: int = Field(6 * 3600, ge=60, validation_alias="BATON_ABANDONED_AFTER_S")
    pulse_file: Path | None = Field(None, validation_alias="BATON_PULSE_FILE")

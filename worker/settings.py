"""The worker's settings."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from services.kit.settings import BrokerSettings, DatabaseSettings, RoomSettings


class WorkerSettings(DatabaseSettings, BrokerSettings, RoomSettings):
    """Beside what all need: how long things are kept, and which file is touched as a sign of life, if any."""

    archive_after_s: int = Field(7 * 24 * 3600, ge=60, validation_alias="BATON_ARCHIVE_AFTER_S")
    forget_after_s: int | None = Field(None, ge=60, validation_alias="BATON_FORGET_AFTER_S")
    abandoned_after_s: int = Field(6 * 3600, ge=60, validation_alias="BATON_ABANDONED_AFTER_S")
    pulse_file: Path | None = Field(None, validation_alias="BATON_PULSE_FILE")

    @model_validator(mode="after")
    def _forgets_what_is_archived(self) -> Self:
        if self.forget_after_s is not None and self.forget_after_s < self.archive_after_s:
            raise ValueError("BATON_FORGET_AFTER_S: only what is archived is forgotten, so not before it is")
        return self

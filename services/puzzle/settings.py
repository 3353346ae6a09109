"""What the puzzle service reads from the environment."""

from pydantic import Field

from services.kit.server_settings import ServerSettings
from services.kit.settings import DatabaseSettings


class PuzzleSettings(DatabaseSettings, ServerSettings):
    """Settings of one process of the puzzle service."""

    port: int = Field(8002, ge=1, le=65_535, validation_alias="BATON_PORT")

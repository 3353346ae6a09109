"""The points service's settings."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from services.kit.server_settings import ServerSettings
from services.kit.settings import DEVELOPMENT_OPERATOR_KEY, BrokerSettings, DatabaseSettings, RoomSettings, split
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, public_key_of


class PointsSettings(ServerSettings, DatabaseSettings, BrokerSettings, RoomSettings):
    """Beside what all need: the key that signs tokens, and the operator's."""

    port: int = Field(8001, ge=1, le=65_535, validation_alias="BATON_PORT")
    private_key: str = Field(DEVELOPMENT_PRIVATE_KEY, repr=False, validation_alias="BATON_TOKEN_PRIVATE_KEY")
    token_lifetime_s: int = Field(24 * 3600, ge=60, validation_alias="BATON_TOKEN_LIFETIME_S")
    operator_key: str = Field(
        DEVELOPMENT_OPERATOR_KEY, repr=False, min_length=16, validation_alias="BATON_OPERATOR_KEY"
    )
    puzzle_types: str = Field("concentration,memory,multitasking,spatial", validation_alias="BATON_PUZZLE_TYPES")

    @field_validator("private_key")
    @classmethod
    def _key_is_a_key(cls, key: str) -> str:
        public_key_of(key)
        return key

    @model_validator(mode="after")
    def _secrets(self) -> Self:
        if self.is_production and self.private_key == DEVELOPMENT_PRIVATE_KEY:
            raise ValueError("BATON_TOKEN_PRIVATE_KEY: the built-in development key is refused in production")
        if self.is_production and self.operator_key == DEVELOPMENT_OPERATOR_KEY:
            raise ValueError("BATON_OPERATOR_KEY: the built-in development key is refused in production")
        if public_key_of(self.private_key) not in split(self.public_keys):
            raise ValueError("BATON_TOKEN_PUBLIC_KEYS: the private key's public half is not among them")
        return self

"""Settings of what answers HTTP. Apart from the others, since the worker need not load what checks tokens."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from services.kit.settings import Settings, split
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Verifier, public_key_of


class ServerSettings(Settings):
    """For processes that answer HTTP and check tokens."""

    host: str = Field("127.0.0.1", validation_alias="BATON_HOST")
    port: int = Field(8000, ge=1, le=65_535, validation_alias="BATON_PORT")
    public_keys: str = Field(public_key_of(DEVELOPMENT_PRIVATE_KEY), validation_alias="BATON_TOKEN_PUBLIC_KEYS")
    cors_origins: str = Field("", validation_alias="BATON_CORS_ORIGINS")

    @field_validator("public_keys")
    @classmethod
    def _keys_are_keys(cls, keys: str) -> str:
        Verifier(split(keys))
        return keys

    @model_validator(mode="after")
    def _no_development_keys(self) -> Self:
        if self.is_production and public_key_of(DEVELOPMENT_PRIVATE_KEY) in split(self.public_keys):
            raise ValueError("BATON_TOKEN_PUBLIC_KEYS: the built-in development key is refused in production")
        return self

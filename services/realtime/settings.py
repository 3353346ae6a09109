"""The gateway's settings."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from services.kit.server_settings import ServerSettings


class RealtimeSettings(ServerSettings):
    """What the gateway needs to know. Sizes in bytes, durations in seconds."""

    puzzle_internal_url: str = Field("http://127.0.0.1:8002", validation_alias="BATON_PUZZLE_INTERNAL_URL")
    points_url: str = Field("http://{host}:8001", validation_alias="BATON_POINTS_URL")
    puzzle_url: str = Field("http://{host}:8002", validation_alias="BATON_PUZZLE_URL")
    join_timeout_s: float = Field(5.0, gt=0, le=60, validation_alias="BATON_JOIN_TIMEOUT_S")
    token_grace_s: float = Field(25.0, ge=0, le=3600, validation_alias="BATON_TOKEN_GRACE_S")
    max_frame_bytes: int = Field(4096, ge=2048, le=65_536, validation_alias="BATON_MAX_FRAME_BYTES")
    send_queue_bytes: int = Field(1 << 20, ge=1 << 16, le=1 << 26, validation_alias="BATON_SEND_QUEUE_BYTES")

    max_connections: int = Field(20_000, ge=1, validation_alias="BATON_MAX_CONNECTIONS")
    max_connections_per_address: int = Field(0, ge=0, validation_alias="BATON_MAX_CONNECTIONS_PER_ADDRESS")
    max_connections_per_token: int = Field(16, ge=0, validation_alias="BATON_MAX_CONNECTIONS_PER_TOKEN")
    drain_notice_s: float = Field(0.0, ge=0, le=300, validation_alias="BATON_DRAIN_NOTICE_S")
    drain_s: float = Field(10.0, ge=0, le=3600, validation_alias="BATON_DRAIN_S")

    presence_ttl_s: float = Field(15.0, ge=1, le=300, validation_alias="BATON_PRESENCE_TTL_S")
    presence_grace_s: float = Field(3.0, ge=0, le=60, validation_alias="BATON_PRESENCE_GRACE_S")

    @field_validator("puzzle_internal_url")
    @classmethod
    def _is_whole(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be a whole address that begins with http:// or https://")
        return url.rstrip("/")

    @field_validator("points_url", "puzzle_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://, or be empty for the gateway's own origin")
        if "{" in url.replace("{host}", ""):
            raise ValueError("may contain {host} and no other placeholder")
        return url.rstrip("/")

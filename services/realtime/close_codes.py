"""Every reason for which the gateway closes a socket. docs/protocol.md tells clients what to do about each."""

import enum


class Close(enum.Enum):
    """A close code and its reason. Codes tell a client by their range whether to come back."""

    SERVICE_RESTART = 1012, "service_restart"
    SLOW_CONSUMER = 4000, "slow_consumer"
    ROOM_UNAVAILABLE = 4001, "room_unavailable"
    SEQUENCE_LOST = 4002, "sequence_lost"
    NO_PONG = 4003, "no_pong"
    JOIN_TIMEOUT = 4500, "join_timeout"
    INVALID_TOKEN = 4501, "invalid_token"
    EXPIRED_TOKEN = 4502, "expired_token"
    FORBIDDEN = 4503, "forbidden"
    UNKNOWN_SESSION = 4504, "unknown_session"
    BAD_FRAMES = 4505, "bad_frames"
    TOO_LARGE = 4506, "too_large"
    LEFT = 4507, "left"
    TOO_MANY_CONNECTIONS = 4508, "too_many_connections"
    RATE_LIMITED = 4509, "rate_limited"

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def reason(self) -> str:
        return self.value[1]

    @property
    def come_back(self) -> bool:
        """Whether the client should connect again, after a random delay, with the `seq` it has."""
        return self.code == 1012 or 3000 <= self.code < 3500 or 4000 <= self.code < 4500


class Refused(Exception):  # noqa: N818 (what happens to a client, not a fault of ours)
    """The client cannot go on; its socket is closed with this code."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close

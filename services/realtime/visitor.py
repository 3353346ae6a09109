"""Whom a socket belongs to after its handshake."""

from typing import Protocol


class Visitor(Protocol):
    """Somebody who is given what a client sends, and told how its connection fares. None of these waits or raises."""

    def receive(self, data: bytes) -> None:
        """A whole message of the client."""

    def pause(self) -> None:
        """The client does not take what was written."""

    def resume(self) -> None:
        """The client has taken all that was written."""

    def lost(self) -> None:
        """The connection is gone; nothing is called after this."""

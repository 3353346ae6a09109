"""Who may open a socket: counted and checked before the upgrade, so that a full gateway costs a client one answer."""

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from contracts.ids import PlayerId
from services.kit import metrics
from services.kit.problem import Problem
from services.kit.settings import split
from services.realtime.close_codes import Close, Refused
from services.realtime.settings import RealtimeSettings

RETRY_AFTER_S = 2


class DrainingError(Exception):
    """Nobody new is taken."""


class Limits:
    """The open sockets by address and by token's subject. While `draining`, nobody new comes in."""

    def __init__(self, settings: RealtimeSettings) -> None:
        self._most = settings.max_connections
        self._most_per_address = settings.max_connections_per_address
        self._most_per_token = settings.max_connections_per_token
        self._origins = set(split(settings.cors_origins))
        self._by_address: Counter[str] = Counter()
        self._by_subject: Counter[PlayerId] = Counter()
        self.open = 0
        self.draining = False

    def check(self, origin: str | None, host: str | None, address: str) -> None:
        """Refuse a handshake: raises Problem with 403 for a foreign page, 503 when there is no room."""
        if origin is not None and not self._is_allowed(origin, host):
            self._refuse(403, "origin_not_allowed", "Pages of this origin may not open sockets here.")
        if self.draining:
            self._refuse(503, "draining", "This gateway is about to stop; another one takes you.")
        if self.open >= self._most:
            self._refuse(503, "gateway_full", "This gateway has as many sockets as it may.")
        if self._most_per_address and self._by_address[network_of(address)] >= self._most_per_address:
            self._refuse(503, "too_many_connections", "There are too many sockets from this address.")

    async def check_open(self) -> None:
        """For readiness: raises while draining."""
        if self.draining:
            raise DrainingError("about to stop")

    def connect(self, address: str) -> None:
        """A socket was opened."""
        self.open += 1
        self._by_address[network_of(address)] += 1

    def disconnect(self, address: str) -> None:
        """A socket was closed."""
        self.open -= 1
        _take_one(self._by_address, network_of(address))

    def join(self, subject: PlayerId) -> None:
        """A socket turned out to be that player's. Raises Refused where these are too many."""
        if self._most_per_token and self._by_subject[subject] >= self._most_per_token:
            raise Refused(Close.TOO_MANY_CONNECTIONS)
        self._by_subject[subject] += 1

    def leave(self, subject: PlayerId) -> None:
        """A socket that had joined was closed."""
        _take_one(self._by_subject, subject)

    def _is_allowed(self, origin: str, host: str | None) -> bool:
        """The gateway's own pages and those of the list. Who sends no origin is no page."""
        return "*" in self._origins or origin in self._origins or (host is not None and urlsplit(origin).netloc == host)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        metrics.refused_handshakes.labels(code).inc()
        raise Problem(status, code, detail)


def network_of(address: str) -> str:
    """What one client has: an address, but of IPv6 a /64."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(int(ip) >> 64) if isinstance(ip, IPv6Address) else address


def _take_one(counter: "Counter[Any]", key: str | PlayerId) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]

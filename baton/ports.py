"""Free TCP ports."""

import random
import socket
from typing import Final

QUIET: Final = range(10_000, 32_000)
"""Ports that no system gives to connections that go out, as it does with those from 32768 on."""


class PortTakenError(Exception):
    """The port that was asked for is used by another program."""

    def __init__(self, port: int, host: str) -> None:
        super().__init__(f"port {port} of {host} is used by another program; give another with PORT=…")
        self.port = port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """Some free port of the loopback address. It stays free unless another program asks for just this one."""
    for port in random.SystemRandom().sample(QUIET, 200):  # whatever seeds tests set
        if is_free(port):
            return port
    raise PortTakenError(QUIET.start, "127.0.0.1")


def next_free(wanted: int, host: str, *, besides: frozenset[int] = frozenset()) -> int:
    """The first free port from `wanted` on that is not in `besides`. Raises PortTakenError if 200 in a row are used."""
    for port in range(wanted, min(wanted + 200, 65_536)):
        if port not in besides and is_free(port, host):
            return port
    raise PortTakenError(wanted, host)


def choose(wanted: int, host: str, count: int, *, insist: bool) -> list[int]:
    """`count` different free ports from `wanted` on; with `insist` the first is `wanted` or PortTakenError."""
    if insist and not is_free(wanted, host):
        raise PortTakenError(wanted, host)
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(next_free(chosen[-1] + 1 if chosen else wanted, host, besides=frozenset(chosen)))
    return chosen

"""A real Valkey Cluster on the loopback address, in about two seconds: three masters with a replica each."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from baton.ports import any_free
from baton.servers import ONCE, Valkey
from services.kit.redis_client import DRIVER

SLOTS = 16_384
MASTERS = 3


class Node(Valkey):
    """One of the cluster's servers."""

    def __init__(self, folder: Path, *, node_timeout_ms: int) -> None:
        super().__init__(folder)
        self._bus_port = any_free()
        self._node_timeout_ms = node_timeout_ms

    def command(self) -> list[str]:
        options = {
            "cluster-enabled": "yes",
            "cluster-port": str(self._bus_port),
            "cluster-node-timeout": str(self._node_timeout_ms),
            "repl-diskless-sync-delay": "0",  # or each replica would wait 5 s for others to come along
        }
        return [*super().command(), *(word for key, value in options.items() for word in (f"--{key}", value))]

    def ask(self, *command: object) -> Any:
        """What this very server answers."""
        with redis.Redis(port=self.port, socket_timeout=5, retry=ONCE, protocol=2, driver_info=DRIVER) as client:
            return client.execute_command(*command)

    def meet(self, other: "Node") -> None:
        self.ask("CLUSTER MEET", "127.0.0.1", other.port, other._bus_port)

    def knows(self, node_id: str) -> bool:
        return any(node["node_id"] == node_id for node in self.ask("CLUSTER NODES").values())

    @property
    def id(self) -> str:
        return str(self.ask("CLUSTER MYID").decode())

    @property
    def is_master(self) -> bool:
        return bool(self.ask("ROLE")[0] == b"master")

    @property
    def is_in_order(self) -> bool:
        """Whether it knows all others and serves, and has its master's data if it is a replica."""
        nodes = self.ask("CLUSTER NODES").values()
        role = self.ask("ROLE")
        return (
            self.ask("CLUSTER INFO")["cluster_state"] == "ok"
            and len(nodes) == 2 * MASTERS
            and not any("fail" in node["flags"] for node in nodes)
            and (role[0] == b"master" or role[3] == b"connected")
        )


class ValkeyCluster:
    """Ended for sure, as its servers are: with the block, or with the process. To be started from the main thread."""

    def __init__(self, folder: Path, *, node_timeout_ms: int = 1_000) -> None:
        self.nodes = [Node(folder / f"node-{number}", node_timeout_ms=node_timeout_ms) for number in range(2 * MASTERS)]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Its address as Baton's settings take it; two of the six are enough to find the rest."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[-1].port}"

    def master_of(self, key: str) -> Node:
        """The server that has the key now."""
        slot = self._anyone().ask("CLUSTER KEYSLOT", key)
        for first, last, (_, port, *_), *_ in self._anyone().ask("CLUSTER SLOTS"):
            if first <= slot <= last:
                [node] = [node for node in self.nodes if node.port == port]
                return node
        raise AssertionError(f"nobody has slot {slot}")

    def replica_of(self, master: Node) -> Node:
        """A server that follows `master`."""
        followed = {node: node.ask("ROLE") for node in self.nodes if node.pid is not None}
        return next(node for node, role in followed.items() if role[0] == b"slave" and role[2] == master.port)

    def fail_over(self, master: Node) -> None:
        """Let a replica of `master` take its place, in good order."""
        replica = self.replica_of(master)
        replica.ask("CLUSTER FAILOVER")
        until(lambda: replica.is_master and not master.is_master)

    def lose_master_of(self, key: str) -> None:
        """Kill the server that has the key, and return when another one has it. `mend` brings it back."""
        lost = self.master_of(key)
        lost.kill()
        until(lambda: self.master_of(key) is not lost)

    def mend(self) -> None:
        """Start what does not run, from the main thread, and return when all are in order."""
        for node in self.nodes:
            node.start()
        self.wait_until_in_order()

    def wait_until_in_order(self) -> None:
        """Return when every server serves, and every replica has its master's data."""
        until(lambda: all(n.is_in_order for n in self.nodes) and sum(n.is_master for n in self.nodes) == MASTERS)

    def flush(self) -> None:
        """Forget all that it keeps."""
        for node in self.nodes:
            if node.is_master:
                node.flush()

    def _anyone(self) -> Node:
        return next(node for node in self.nodes if node.pid is not None)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for number, node in enumerate(self.nodes):
                stack.enter_context(node)
                node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
            for node in self.nodes[1:]:
                node.meet(self.nodes[0])
            masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
            bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
            for master, first, end in zip(masters, bounds, bounds[1:], strict=False):
                master.ask("CLUSTER ADDSLOTSRANGE", first, end - 1)
            for master, replica in zip(masters, replicas, strict=True):
                until(partial(replica.knows, master.id))
                replica.ask("CLUSTER REPLICATE", master.id)
            self.wait_until_in_order()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """Wait until `holds` does."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "that did not come to be"
        time.sleep(0.02)

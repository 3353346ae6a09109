"""What is measured: rooms, who is in them, and how much is said."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """A load. `sizes` are the members of the active rooms; the idle ones come behind them and are told nothing."""

    name: str
    title: str
    sizes: tuple[int, ...]
    rate: int
    """Messages a second over all active rooms, one room after the other. 0: a reconnect storm, nothing is said."""
    idle_rooms: int = 0
    idle_size: int = 4
    once: bool = False
    """Peers are measured in the first repetition alone, since getting their clients in takes most of the time."""

    @property
    def rooms(self) -> int:
        return len(self.sizes) + self.idle_rooms

    @property
    def connections(self) -> int:
        return sum(self.sizes) + self.idle_rooms * self.idle_size

    def members(self) -> list[int]:
        """The room of each connection, by its index. Idle ones come first, so that the active ones lie spread out."""
        idle = [len(self.sizes) + room for room in range(self.idle_rooms) for _ in range(self.idle_size)]
        return idle + [room for room, size in enumerate(self.sizes) for _ in range(size)]


def _zipf(rooms: int, largest: int) -> tuple[int, ...]:
    return tuple(max(1, round(largest / rank)) for rank in range(1, rooms + 1))


CROWD = Workload("crowd", "1 room of 1000, 50 messages a second", (1000,), 50)
TEAMS = Workload("teams", "500 rooms of 4, 5000 messages a second", (4,) * 500, 5000)
IDLE = Workload(
    "idle",
    "10 000 idle clients; 200 rooms of 2 to 400, 1000 messages a second",
    _zipf(200, 400),
    1000,
    idle_rooms=2500,
    once=True,
)
STORM = Workload("storm", "2000 clients of 500 rooms, cut off and all back at once", (4,) * 500, 0, once=True)

WORKLOADS = {workload.name: workload for workload in (CROWD, TEAMS, IDLE, STORM)}

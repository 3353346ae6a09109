"""When messages are due, as tests/load/publisher.c has it: for the publishers that are not in C."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Tell = Callable[[str, str], Awaitable[object]]
"""Tells a room (by its session id) a frame."""


@dataclass
class Stream:
    """The command line of a publisher: ROOMS TAIL START_US RATE TOTAL FIRST_SEQ."""

    rooms: list[str]
    tail: str
    start_us: int
    rate: int
    total: int
    first_seq: int

    def due(self) -> Iterator[tuple[int, str, str]]:
        """Instant, room and frame of every message."""
        for index in range(self.total):
            at = self.start_us + index * 1_000_000 // self.rate
            seq = self.first_seq + index // len(self.rooms)
            yield at, self.rooms[index % len(self.rooms)], f'{{"seq":{seq},"t":{at},{self.tail}'


def stream_of(words: list[str]) -> Stream:
    """The stream that a publisher was asked for."""
    rooms = [line.partition("\t")[0] for line in Path(words[0]).read_text().splitlines()]
    start, rate, total, first_seq = map(int, words[2:6])
    return Stream(rooms, words[1], start, rate, total, first_seq)


async def publish(tell: Tell, lanes: int) -> None:
    """Publish the stream; rooms share so many lanes, in each of which one message waits for the one before."""
    stream = stream_of(sys.argv[1:])
    queues: list[asyncio.Queue[tuple[str, str] | None]] = [asyncio.Queue() for _ in range(lanes)]
    lane_of = {room: queues[index % lanes] for index, room in enumerate(stream.rooms)}
    workers = [asyncio.create_task(_work(tell, queue)) for queue in queues]
    latest = 0
    for at, room, frame in stream.due():
        now = time.monotonic_ns() // 1000
        if now < at:
            await asyncio.sleep((at - now) / 1e6)
        latest = max(latest, now - at)
        lane_of[room].put_nowait((room, frame))
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    ended = time.monotonic_ns() // 1000 - (stream.start_us + stream.total * 1_000_000 // stream.rate)
    figures = {"published": stream.total, "refused": 0, "late_ms": max(latest, ended) / 1e3}
    sys.stdout.write(json.dumps(figures) + "\n")


async def _work(tell: Tell, queue: "asyncio.Queue[tuple[str, str] | None]") -> None:
    while (message := await queue.get()) is not None:
        await tell(*message)

"""The process that stands between the services and their servers: `python -m tests.chaos.network`, told by lines.

`valkey 0.02` and `postgres 0.01` say which part of the replies is lost, `calm` that nothing is broken or shuffled any
more, `wild` that it is again, `counts` asks for a line of JSON with what was done so far. It ends with its input.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Annotated

import typer
import uvloop

from tests.chaos.proxy import HOST, Proxy
from tests.chaos.shuffling import STREAMS, Shuffler, hold_back


class Network:
    """Both proxies and the shuffler."""

    def __init__(self, valkey: tuple[int, int], postgres: tuple[int, int], seed: int) -> None:
        chance = random.Random(seed)
        self.proxies = {
            "valkey": Proxy(*valkey, chance, hold_back),
            "postgres": Proxy(*postgres, chance),
        }
        self.shuffler = Shuffler(f"redis://{HOST}:{valkey[1]}/0", chance)

    async def run(self) -> None:
        """Until the input ends."""
        for proxy in self.proxies.values():
            await proxy.listen()
        shuffling = [asyncio.create_task(self.shuffler.run(stream)) for stream in STREAMS]
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        _say({"listens": True})
        while line := await reader.readline():
            self._obey(line.decode().split())
        for task in shuffling:
            task.cancel()

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["counts"]:
                _say(self._counts())
            case ["calm" | "wild" as word]:
                self.shuffler.calm = word == "calm"
                for proxy in self.proxies.values():
                    proxy.lose(0)
            case [name, part]:
                self.proxies[name].lose(float(part))

    def _counts(self) -> dict[str, int]:
        counts = Counter(self.shuffler.counts)
        for name, proxy in self.proxies.items():
            counts.update({f"{name}: {what}": count for what, count in proxy.counts.items()})
        return counts


def _say(what: dict[str, int] | dict[str, bool]) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 (it is a program, and this is what it says)


def main(
    valkey: Annotated[tuple[int, int], typer.Option()],
    postgres: Annotated[tuple[int, int], typer.Option()],
    seed: Annotated[int, typer.Option()],
) -> None:
    """Listen on the first port of each pair, for the server on the second."""
    uvloop.run(Network(valkey, postgres, seed).run())


if __name__ == "__main__":
    typer.run(main)

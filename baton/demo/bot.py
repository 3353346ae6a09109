"""One player without a human: joins, thinks, answers, and remembers all it was told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from msgspec import structs

from baton.demo.client import Api, ApiError
from baton.demo.gateway import GameSocket
from baton.demo.measure import Stopwatch
from baton.demo.pace import Move, choose_move, takes_s, thinking_s
from baton.demo.recording import Recording
from baton.demo.replies import Judged, Seated
from baton.demo.solvers import SOLVERS, WRONG_ANSWERS
from baton.demo.tokens import keep_fresh
from contracts import rooms
from contracts.frames import NumberedEvent, ToClient
from contracts.ids import PuzzleId, SessionId
from contracts.puzzles import PuzzleView, Verdict
from contracts.rooms import Player, State, Status

OVERTAKEN = {
    "puzzle_closed",
    "puzzle_expired",
    "player_eliminated",
    "session_not_active",
    "puzzle_not_found",
    "no_open_puzzle",
}
"""Refusals that only mean that the world went on meanwhile; the socket will tell how."""


class Bot:
    """Knows of the game what its socket tells, and changes it by its answers alone."""

    def __init__(self, api: Api, name: str, colour: str, *, skill: float, speed: float) -> None:
        self.name = name
        self.colour = colour
        self.recording = Recording()
        self.judged: dict[PuzzleId, Judged] = {}
        self.tally: Counter[Move] = Counter()
        self._api = api.another()
        self._skill = skill
        self._speed = speed
        self._chance = random.Random()
        self._changed = asyncio.Event()
        self._seated: Seated | None = None
        self._stopwatch: Stopwatch | None = None
        self._socket: GameSocket | None = None

    @property
    def seated(self) -> Seated:
        """The seat; there is none before `join`."""
        if self._seated is None:
            raise RuntimeError(f"{self.name} has not joined")
        return self._seated

    @property
    def breaks(self) -> list[str]:
        """Why this bot had to connect again, each time."""
        return [] if self._socket is None else self._socket.breaks

    async def join(self, code: str) -> None:
        self._seated = await self._api.join(code, self.name, self.colour)

    async def get_ready(self, session_id: SessionId, players: int) -> None:
        """Say so when all `players` are in the lobby, and wait until all have said so."""
        await self.until(lambda state: len(state.players) == players)
        await self._api.ready(session_id, self.seated.token)
        await self.until(lambda state: all(player.ready for player in state.players))

    async def listen(self, session_id: SessionId, stopwatch: Stopwatch) -> None:
        """Hold a socket until cancelled. Raises a group, of a TurnedAwayError where the gateway will not have it."""
        self._stopwatch = stopwatch
        url = self._api.socket_url(session_id)
        self._socket = GameSocket(url, self.seated.token, self.recording, self._hear)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._socket.run())
            group.create_task(keep_fresh(self._api, self.seated.token, self._take_token))

    async def _take_token(self, token: str) -> None:
        self._seated = structs.replace(self.seated, token=token)
        if self._socket is not None:
            await self._socket.refresh(token)

    async def until(self, condition: Callable[[State], bool]) -> State:
        """Wait for a state of which `condition` holds."""
        while (state := self.recording.state) is None or not condition(state):
            self._changed.clear()
            await self._changed.wait()
        return state

    async def reached(self, seq: int) -> None:
        """Wait until this bot has event `seq`."""
        while (self.recording.seq or 0) < seq:
            self._changed.clear()
            await self._changed.wait()

    async def play(self) -> None:
        """Answer puzzle after puzzle until out, or until all is over. Raises ApiError at a refusal without sense."""
        puzzle = await self._next_puzzle(None)
        while puzzle is not None:
            await self._turn(puzzle)
            puzzle = await self._next_puzzle(puzzle.puzzle_id)

    async def _next_puzzle(self, last: PuzzleId | None) -> PuzzleView | None:
        """Wait for a puzzle other than the `last` one. None when there will be none."""
        state = await self.until(lambda state: self._is_over(state) or self._has_new_puzzle(state, last))
        return None if self._is_over(state) else self._me(state).puzzle

    async def _turn(self, puzzle: PuzzleView) -> None:
        move = choose_move(self._skill, self._chance) if puzzle.type in SOLVERS else Move.NOTHING
        self.tally[move] += 1
        if move is Move.NOTHING:
            return
        solve = (SOLVERS if move is Move.RIGHT else WRONG_ANSWERS)[puzzle.type]
        answer = solve(puzzle.view)
        await asyncio.sleep(max(thinking_s(puzzle.type, self._speed, self._chance), takes_s(answer)))
        state = self.recording.state
        if state is not None and self._me(state).puzzle != puzzle:
            return  # expired, or out, while thinking
        await self._answer(puzzle, move, answer)

    async def _answer(self, puzzle: PuzzleView, move: Move, answer: dict[str, object]) -> None:
        stopwatch = self._stopwatch
        if stopwatch is None:
            raise RuntimeError(f"{self.name} does not listen")
        stopwatch.sent(puzzle.puzzle_id, time.perf_counter())
        try:
            judged = await self._api.answer(puzzle.puzzle_id, self.seated.token, answer)
        except ApiError as error:
            stopwatch.refused(puzzle.puzzle_id)
            if error.code not in OVERTAKEN:
                raise
            return
        stopwatch.accepted(puzzle.puzzle_id, time.perf_counter())
        self.judged[puzzle.puzzle_id] = judged
        expected = Verdict.SOLVED if move is Move.RIGHT else Verdict.FAILED
        if judged.verdict is not expected:
            self.recording.faults.append(
                f"a {move} answer to {puzzle.type} puzzle {puzzle.puzzle_id} was judged {judged.verdict}"
            )

    def _hear(self, message: NumberedEvent | ToClient, at: float) -> None:
        fact = message.data if isinstance(message, NumberedEvent) else None
        if self._stopwatch is not None and isinstance(fact, rooms.PuzzleSolved | rooms.PuzzleFailed):
            self._stopwatch.heard(fact.closed.puzzle_id, at)
        self._changed.set()

    def _me(self, state: State) -> Player:
        return next(player for player in state.players if player.player_id == self.seated.player_id)

    def _is_over(self, state: State) -> bool:
        return state.status is Status.FINISHED or self._me(state).eliminated_at is not None

    def _has_new_puzzle(self, state: State, last: PuzzleId | None) -> bool:
        puzzle = self._me(state).puzzle
        return state.status is Status.ACTIVE and puzzle is not None and puzzle.puzzle_id != last

"""Thousands of random games, played by the real rules and by a plain reference model: they agree in everything."""

from collections import Counter

import pytest

from tests.random_games import a_random_game, play, play_and_compare

GAMES_A_CHUNK = 250


@pytest.mark.parametrize("chunk", range(10))
def test_random_games_agree_with_the_reference_model_in_everything(chunk: int) -> None:
    for seed in range(chunk * GAMES_A_CHUNK, (chunk + 1) * GAMES_A_CHUNK):
        play_and_compare(seed)


def test_the_random_games_reach_every_corner() -> None:
    """A generator that never puts anybody out would agree with anything."""
    seen: Counter[str] = Counter()
    for seed in range(300):
        played = a_random_game(seed)
        play(played)
        seen.update(entry.reason.value for entry in played.game.entries if entry.reason is not None)
        seen.update(entry.kind for entry in played.game.entries)
        seen.update(fact.type for _, fact in played.game.facts)
        seen.update([str(played.game.end_reason)])
    for corner in (
        *("nobody_left", "next_seat_out", "solver_out", "session_over"),
        *("start", "award", "penalty", "tick", "void"),
        *("puzzle.expired", "player.eliminated", "points.ticked"),
        *("all_out", "ended_by_host"),
    ):
        assert seen[corner] > 10, (corner, seen)

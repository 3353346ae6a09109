"""Everything the puzzle service refuses, with its stable code."""

from services.kit.problem import Problem

_REFUSED = {
    "session_not_active": "The session is not being played now.",
    "player_eliminated": "This player is out of the game.",
    "puzzle_open": "The player has an open puzzle.",
    "puzzle_closed": "This puzzle is closed.",
    "puzzle_expired": "The time for this puzzle is up.",
}


def refused(code: str) -> Problem:
    """409: the state of the game does not allow it now."""
    return Problem(409, code, _REFUSED[code])


def puzzle_not_found() -> Problem:
    return Problem(404, "puzzle_not_found", "There is no such puzzle.")


def no_open_puzzle() -> Problem:
    return Problem(404, "no_open_puzzle", "This player has no open puzzle.")


def player_not_in_game() -> Problem:
    return Problem(404, "player_not_in_game", "This player is in no session that was started.")


def not_your_seat() -> Problem:
    return Problem(403, "not_your_seat", "This takes the token of the player whose seat it is.")


def not_your_puzzle() -> Problem:
    return Problem(403, "not_your_puzzle", "This takes the token of the player whose puzzle it is.")


def not_your_team() -> Problem:
    return Problem(403, "not_your_team", "This takes a token of the player's team.")


def not_your_game() -> Problem:
    return Problem(403, "not_your_game", "The player of this token has no seat in this game.")


def invalid_answer(reason: str) -> Problem:
    """422: it has not the shape of an answer to this puzzle. It was no try, and the puzzle stays open."""
    return Problem(422, "invalid_answer", f"This cannot be an answer to this puzzle: {reason}")


def unknown_puzzle_type(in_play: list[str]) -> Problem:
    return Problem(
        422, "unknown_puzzle_type", f"No such puzzle type is in play in this session; there are {', '.join(in_play)}."
    )

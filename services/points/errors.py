"""Every refusal of the points service, with its stable code."""

from services.kit.problem import Problem


def team_not_found() -> Problem:
    return Problem(404, "team_not_found", "There is no such team.")


def session_not_found() -> Problem:
    return Problem(404, "session_not_found", "There is no such session.")


def player_not_found() -> Problem:
    return Problem(404, "player_not_found", "There is no such player in this team.")


def not_your_team() -> Problem:
    return Problem(403, "not_your_team", "This token is for another team.")


def left_team() -> Problem:
    return Problem(403, "left_team", "The player of this token has left the team or was removed from it.")


def host_only() -> Problem:
    return Problem(403, "host_only", "Only the team's host may do this.")


def player_only() -> Problem:
    return Problem(403, "player_only", "Only a player may do this, with the player's own token.")


def operator_only() -> Problem:
    return Problem(403, "operator_only", "This needs the operator's key in the header X-Operator-Key.")


def session_exists() -> Problem:
    return Problem(409, "session_exists", "The team has a session that is not finished.")


def session_not_finished() -> Problem:
    return Problem(409, "session_not_finished", "There are results once the session is finished.")


def team_full(seats: int) -> Problem:
    return Problem(409, "team_full", f"All {seats} seats are taken.")


def too_many_players(players: int, seats: int) -> Problem:
    return Problem(409, "team_full", f"The team has {players} players, and the rules have {seats} seats.")


def name_taken() -> Problem:
    return Problem(409, "name_taken", "Somebody in this team has this name.")


def rules_not_found() -> Problem:
    return Problem(404, "rules_not_found", "No game was played by rules of this name.")


def invalid_rules(field: str, message: str) -> Problem:
    return Problem(422, "invalid_rules", f"{field}: {message}", field=field)


def forbidden_move(code: str, message: str) -> Problem:
    return Problem(404 if code == "player_not_in_session" else 409, code, message)

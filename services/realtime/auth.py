"""Whom a socket belongs to. The token travels in the join or in the list of subprotocols, never in the address."""

from collections.abc import Sequence

from contracts.frames import PROTOCOL, TOKEN_SUBPROTOCOL
from services.kit.clock import local_ms
from services.kit.tokens import Identity, TokenError, Verifier
from services.realtime.close_codes import Close, Refused


def accepted_subprotocol(offered: Sequence[str]) -> str | None:
    """The subprotocol to answer with: ours, where it was offered, and never the one that holds the token."""
    return PROTOCOL if PROTOCOL in offered else None


def offered_token(offered: Sequence[str]) -> str | None:
    """The token in the list of subprotocols, if there is one."""
    return next((name.removeprefix(TOKEN_SUBPROTOCOL) for name in offered if name.startswith(TOKEN_SUBPROTOCOL)), None)


def authenticate(verifier: Verifier, token: str | None) -> Identity:
    """Whom the token stands for. Raises Refused; whether the session is their team's is known in the room alone."""
    if not token:
        raise Refused(Close.INVALID_TOKEN)
    try:
        return verifier.verify(token)
    except TokenError as error:
        raise Refused(Close.EXPIRED_TOKEN if error.expired else Close.INVALID_TOKEN) from error


def renew(verifier: Verifier, token: str, identity: Identity) -> Identity:
    """The same person by a newer token. Raises Refused where it is not valid, or anybody else's."""
    newer = authenticate(verifier, token)
    if (newer.subject, newer.team_id, newer.role) != (identity.subject, identity.team_id, identity.role):
        raise Refused(Close.FORBIDDEN)
    return newer


def expires_in_s(identity: Identity, grace_s: float) -> float:
    """How long a connection may go on with that token; not above 0 when it may not."""
    return identity.expires_at + grace_s - local_ms() / 1000

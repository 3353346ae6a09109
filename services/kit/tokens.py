"""Tokens: EdDSA JWTs. Points signs them, everybody else can only verify them."""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from contracts.ids import PlayerId, TeamId

DEVELOPMENT_PRIVATE_KEY = "DgLsZaoyaAYWpUUOHFLsyLu_Wr3g_qsHK0Pq-1Vj8NE"
"""For playing on one's own machine. Settings refuse it in production."""

ISSUER = AUDIENCE = "baton"
LEEWAY_S = 5
TOKENS_REMEMBERED = 16_384
"""For who is asked with the same tokens again and again. A kilobyte each."""


class Role(StrEnum):
    """What a token opens: a seat, the team's commands, or only the view."""

    PLAYER = "player"
    HOST = "host"
    SPECTATOR = "spectator"


class Identity(Struct, frozen=True, kw_only=True):
    """Whom a valid token stands for. `subject` is the player's id for a player's token."""

    subject: PlayerId
    team_id: TeamId
    role: Role
    expires_at: int
    """Seconds since the Unix epoch."""


class TokenError(Exception):
    """The token is not valid. `expired` tells whether it was once."""

    def __init__(self, detail: str, *, expired: bool = False) -> None:
        super().__init__(detail)
        self.expired = expired


def _raw(key: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ValueError("a token key is 32 bytes in base64url")
    return raw


def _key_id(public: Ed25519PublicKey) -> str:
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def public_key_of(private_key: str) -> str:
    """The public half of a private key, both in base64url. Raises ValueError for what is no key."""
    public = Ed25519PrivateKey.from_private_bytes(_raw(private_key)).public_key()
    return base64.urlsafe_b64encode(public.public_bytes_raw()).decode().rstrip("=")


class Signer:
    """Makes tokens."""

    def __init__(self, private_key: str, lifetime_s: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(_raw(private_key))
        self._kid = _key_id(self._key.public_key())
        self._lifetime_s = lifetime_s

    def sign(self, subject: PlayerId, team_id: TeamId, role: Role) -> str:
        """A token that is valid from now on for the signer's lifetime."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(subject),
            "team": str(team_id),
            "role": role.value,
            "iat": now,
            "exp": now + self._lifetime_s,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._kid})


class Verifier:
    """Checks tokens. Several keys at once, so that a key can be rotated.

    Of so many tokens as are to be `remembered`, those used last, the signature is not checked again.
    """

    def __init__(self, public_keys: Iterable[str], *, remembered: int = 0) -> None:
        keys = [Ed25519PublicKey.from_public_bytes(_raw(key)) for key in public_keys]
        self._keys = {_key_id(key): key for key in keys}
        self._remembered = lru_cache(remembered)(self._check)

    def verify(self, token: str) -> Identity:
        """Whom the token stands for. Raises TokenError where it is forged, foreign or expired."""
        identity = self._remembered(token)
        if identity.expires_at <= time.time() - LEEWAY_S:
            raise TokenError("the token has expired", expired=True)
        return identity

    def _check(self, token: str) -> Identity:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str) or kid not in self._keys:
                raise TokenError("the token was signed by an unknown key")
            claims = jwt.decode(
                token,
                self._keys[kid],
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss", "sub", "jti"]},
            )
            return Identity(
                subject=PlayerId(UUID(claims["sub"])),
                team_id=TeamId(UUID(claims["team"])),
                role=Role(claims["role"]),
                expires_at=int(claims["exp"]),
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenError("the token has expired", expired=True) from error
        except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise TokenError("the token is not valid") from error

"""Tokens: points signs them, everybody can check them, nobody can make one."""

import base64
import time
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.ids import PlayerId, TeamId
from services.kit.tokens import (
    DEVELOPMENT_PRIVATE_KEY,
    LEEWAY_S,
    Role,
    Signer,
    TokenError,
    Verifier,
    public_key_of,
)

PLAYER, TEAM = PlayerId(uuid4()), TeamId(uuid4())
signer = Signer(DEVELOPMENT_PRIVATE_KEY, 60)
verifier = Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)])
_PRIVATE = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(DEVELOPMENT_PRIVATE_KEY + "="))


def new_key() -> str:
    return base64.urlsafe_b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def signed(**changes: object) -> str:
    """A token signed with the right key, with other claims."""
    token = signer.sign(PLAYER, TEAM, Role.PLAYER)
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, _PRIVATE, algorithm="EdDSA", headers=jwt.get_unverified_header(token))


def error(token: str) -> TokenError:
    with pytest.raises(TokenError) as refused:
        verifier.verify(token)
    return refused.value


@pytest.mark.parametrize("role", list(Role))
def test_a_token_says_who_it_is_for_and_until_when(role: Role) -> None:
    identity = verifier.verify(signer.sign(PLAYER, TEAM, role))
    assert (identity.subject, identity.team_id, identity.role) == (PLAYER, TEAM, role)
    assert abs(identity.expires_at - time.time() - 60) < 3


def test_a_remembered_token_expires_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)], remembered=2)
    token = signer.sign(PLAYER, TEAM, Role.PLAYER)
    identity = remembering.verify(token)
    assert remembering.verify(token) is identity

    monkeypatch.setattr(time, "time", lambda: float(identity.expires_at + LEEWAY_S))

    with pytest.raises(TokenError) as refused:
        remembering.verify(token)
    assert refused.value.expired


def test_no_two_tokens_are_the_same() -> None:
    assert signer.sign(PLAYER, TEAM, Role.PLAYER) != signer.sign(PLAYER, TEAM, Role.PLAYER)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": None},
        {"iss": None},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": None},
        {"sub": "nobody"},
        {"team": None},
        {"team": "x"},
        {"team": 5},
        {"team": ["x"]},
        {"role": "operator"},
        {"role": None},
        {"role": ["host"]},
        {"exp": "soon"},
        {"iat": 2**40},
        {"nbf": 2**40},
    ],
)
def test_a_claim_that_is_missing_or_odd_is_refused_though_the_signature_is_right(changes: dict[str, object]) -> None:
    assert not error(signed(**changes)).expired


def test_an_expired_token_is_told_from_a_false_one() -> None:
    now = int(time.time())
    assert error(signed(exp=now - LEEWAY_S - 2)).expired
    assert verifier.verify(signed(exp=now - LEEWAY_S + 3)).subject == PLAYER


def test_another_key_makes_no_tokens_for_us() -> None:
    assert "unknown key" in str(error(Signer(new_key(), 60).sign(PLAYER, TEAM, Role.HOST)))


def test_keys_are_rotated_one_after_the_other() -> None:
    old, new = new_key(), new_key()
    both = Verifier([public_key_of(old), public_key_of(new)])
    for key in (old, new):
        assert both.verify(Signer(key, 60).sign(PLAYER, TEAM, Role.HOST)).role is Role.HOST


def test_the_id_of_one_key_with_the_signature_of_another_is_refused() -> None:
    token = Signer(new_key(), 60).sign(PLAYER, TEAM, Role.HOST)
    other = jwt.get_unverified_header(signer.sign(PLAYER, TEAM, Role.HOST))["kid"]
    claims = jwt.decode(token, options={"verify_signature": False})
    error(jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": other}))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_the_public_key_is_no_password(algorithm: str) -> None:
    token = signer.sign(PLAYER, TEAM, Role.HOST)
    claims = jwt.decode(token, options={"verify_signature": False})
    key = "" if algorithm == "none" else public_key_of(DEVELOPMENT_PRIVATE_KEY)
    error(jwt.encode(claims, key, algorithm=algorithm, headers={"kid": jwt.get_unverified_header(token)["kid"]}))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "x" * 10_000, "\u00e9", "\ud800", "\x00"])
def test_what_is_no_token_at_all_is_refused(token: str) -> None:
    error(token)


@pytest.mark.parametrize("key", ["", "abc", "!" * 43, "A" * 44, "\u00e9" * 43])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        public_key_of(key)
    with pytest.raises(ValueError, match="32 bytes"):
        Verifier([key])


def test_the_subject_is_a_uuid() -> None:
    assert isinstance(verifier.verify(signed(sub=str(UUID(int=5)))).subject, UUID)

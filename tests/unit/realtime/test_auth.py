from uuid import uuid4

import pytest
from msgspec import structs

from contracts.ids import PlayerId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer, Verifier, public_key_of
from services.realtime import auth
from services.realtime.close_codes import Close, Refused

VERIFIER = Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)])


def _token(life_s: int) -> str:
    return Signer(DEVELOPMENT_PRIVATE_KEY, life_s).sign(PlayerId(uuid4()), TeamId(uuid4()), Role.SPECTATOR)


def test_our_subprotocol_is_accepted_and_never_the_one_with_the_token() -> None:
    assert auth.accepted_subprotocol(["token.abc", "baton.v1"]) == "baton.v1"
    assert auth.accepted_subprotocol(["token.abc"]) is None
    assert auth.accepted_subprotocol([]) is None


def test_the_token_is_found_among_the_subprotocols() -> None:
    assert auth.offered_token(["baton.v1", "token.abc.def"]) == "abc.def"
    assert auth.offered_token(["baton.v1"]) is None


def test_a_valid_token_says_who_it_is() -> None:
    assert auth.authenticate(VERIFIER, _token(60)).role is Role.SPECTATOR


@pytest.mark.parametrize(
    ("token", "close"),
    [
        (None, Close.INVALID_TOKEN),
        ("", Close.INVALID_TOKEN),
        ("x.y.z", Close.INVALID_TOKEN),
        (_token(-60), Close.EXPIRED_TOKEN),
    ],
)
def test_any_other_is_refused(token: str | None, close: Close) -> None:
    with pytest.raises(Refused) as caught:
        auth.authenticate(VERIFIER, token)
    assert caught.value.close is close


def test_a_connection_may_go_on_until_its_token_has_expired_and_for_a_grace() -> None:
    identity = auth.authenticate(VERIFIER, _token(60))
    assert 80 < auth.expires_in_s(identity, 25.0) <= 85
    assert auth.expires_in_s(structs.replace(identity, expires_at=1_700_000_000), 25.0) < 0

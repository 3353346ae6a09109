"""Keys made once for this folder, so that `make up` never runs with keys that others know."""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILES = ("token-key", "operator-key")


@dataclass(frozen=True, slots=True)
class LocalSecrets:
    """The key that signs tokens, its public half, and the operator's key."""

    private_key: str
    public_key: str
    operator_key: str


def local_secrets(folder: Path) -> LocalSecrets:
    """The secrets kept in `folder`; made, and readable by their owner alone, where they are missing."""
    token_key = _kept(folder / "token-key", new_private_key())
    return LocalSecrets(
        private_key=token_key,
        public_key=public_key_of(token_key),
        operator_key=_kept(folder / "operator-key", secrets.token_urlsafe(24)),
    )


def new_private_key() -> str:
    """A new raw Ed25519 key in base64url."""
    return _encode(Ed25519PrivateKey.generate().private_bytes_raw())


def public_key_of(private_key: str) -> str:
    """The public half of a raw Ed25519 key. Raises ValueError when it is none."""
    raw = base64.urlsafe_b64decode(private_key + "=" * (-len(private_key) % 4))
    return _encode(Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _kept(file: Path, fresh: str) -> str:
    if not file.exists():
        unfinished = file.with_name(f"{file.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(fresh)
        unfinished.replace(file)
    return file.read_text().strip()

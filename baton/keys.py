"""`python -m baton keys`: secrets for an installation that others can reach."""

import secrets

from baton.secrets_file import new_private_key, public_key_of


def new_secrets() -> str:
    """New secrets as lines of an environment file: the pair of token keys, the operator's key, Postgres' password."""
    private_key = new_private_key()
    values = {
        "BATON_TOKEN_PRIVATE_KEY": private_key,
        "BATON_TOKEN_PUBLIC_KEYS": public_key_of(private_key),
        "BATON_OPERATOR_KEY": secrets.token_urlsafe(24),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
    }
    return "\n".join(f"{name}={value}" for name, value in values.items())

"""Whether a Celery worker works: asked of itself, for its log may be set to say nothing."""

import socket

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError


def node_name(prefix: str) -> str:
    """The name of a worker that was started on this machine with `--hostname prefix@%h`."""
    return f"{prefix}@{socket.gethostname()}"


def worker_answers(broker_url: str, node: str, within: float = 0.5) -> bool:
    """Whether the worker answers within so many seconds. False too when the broker cannot be reached."""
    # A connection of its own: one from Celery's pool may be to a broker that was started again since.
    with Celery(broker=broker_url, set_as_current=False) as app, app.connection_for_write() as connection:
        try:
            return bool(app.control.ping(destination=[node], timeout=within, connection=connection))
        except (OperationalError, RedisError):
            return False

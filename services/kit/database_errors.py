"""A database that does not answer, as clients see it: 503, and the request may be repeated."""

from collections.abc import Callable
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit.errors import problem_response
from services.kit.problem import Problem

log = structlog.get_logger()

_TRANSIENT = {
    "OperationalError",
    "AdminShutdown",
    "CannotConnectNow",
    "ConnectionTimeout",
    "CrashShutdown",
    "DeadlockDetected",
    "LockNotAvailable",
    "SerializationFailure",
    "TooManyConnections",
}


def _on_database(_: Request, error: Exception) -> JSONResponse:
    """Nothing is known to have failed for good: a client repeats the request with its Idempotency-Key."""
    unavailable = isinstance(error, PoolTimeout) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or type(error.orig).__name__ in _TRANSIENT)
    )
    if not unavailable:
        raise error
    log.warning("database_unavailable", error=str(error))
    problem = Problem(503, "temporarily_unavailable", "The database does not answer; repeat the request.")
    return problem_response(problem, {"Retry-After": "1"})


DATABASE_ERRORS: dict[type[Exception], Callable[[Request, Exception], Any]] = {
    DBAPIError: _on_database,
    PoolTimeout: _on_database,
}
"""For `create_app(exception_handlers=…)` of a service that has a database."""

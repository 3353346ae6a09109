"""Errors as clients see them: RFC 9457 problem documents, each with a stable `code`."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from services.kit.problem import Problem

log = structlog.get_logger()


PROBLEM_JSON = "application/problem+json"


class ProblemDocument(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str


class _ProblemResponse(JSONResponse):
    media_type = PROBLEM_JSON

    def render(self, content: Any) -> bytes:
        # It may quote what was sent, and half a surrogate pair gets through JSON but cannot be encoded.
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """The problem as an `application/problem+json` response."""
    body = {
        "type": f"urn:baton:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.extra,
    }
    return _ProblemResponse(body, problem.status, headers)


_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 409, 413, 422, 503)
}
"""For `FastAPI(responses=…)`: every operation documents that its errors are problem documents."""


_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}


def _on_problem(_: Request, error: Problem) -> JSONResponse:
    return problem_response(error, _HEADERS.get(error.status))


def _field(location: Sequence[str | int]) -> str:
    """The field's name as the client wrote it; of what lies in the body, without saying so."""
    parts = location[1:] if location[0] == "body" and len(location) > 1 else location
    return ".".join(str(part) for part in parts)


def _on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    errors = [{"field": _field(e["loc"]), "message": e["msg"]} for e in error.errors()]
    malformed = any(e["type"] == "json_invalid" for e in error.errors())
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors[:5])
    if malformed:
        return problem_response(Problem(400, "malformed_json", detail, errors=errors))
    return problem_response(Problem(422, "invalid_request", detail, errors=errors))


def _on_http(_: Request, error: HTTPException) -> JSONResponse:
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return problem_response(Problem(error.status_code, code, str(error.detail)), dict(error.headers or {}))


def _on_unexpected(_: Request, error: Exception) -> JSONResponse:
    log.error("unexpected_error", exc_info=error)
    return problem_response(Problem(500, "internal_error", "This is a fault of the server; it has been logged."))


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document, and its OpenAPI document say so."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(Exception)(_on_unexpected)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for path in document["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    if "ProblemDocument" in content.get("application/json", {}).get("schema", {}).get("$ref", ""):
                        content[PROBLEM_JSON] = content.pop("application/json")
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document

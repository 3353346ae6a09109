"""/livez, /readyz and /metrics, the same in every service."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from services.kit.supervise import Supervisor

CHECK_TIMEOUT_S = 2.0


class Readiness(BaseModel):
    """`checks` must all be "ok" for a service to be ready; `degraded` says what is wrong but does not stop it."""

    ready: bool
    checks: dict[str, str]
    degraded: dict[str, str]


class Health:
    """What a service looks at to know whether it is ready.

    `required` checks decide; `helpful` ones are only reported, such as Valkey for a service that can commit without
    it. A check raises when something is wrong.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        required: dict[str, Callable[[], Awaitable[object]]],
        helpful: dict[str, Callable[[], Awaitable[object]]] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._required = required
        self._helpful = helpful or {}

    async def readiness(self) -> Readiness:
        """Run all checks now, each within two seconds."""
        checks = dict(zip(self._required, await _run(self._required), strict=True))
        helpful = dict(zip(self._helpful, await _run(self._helpful), strict=True))
        degraded = {name: result for name, result in helpful.items() if result != "ok"}
        degraded |= {f"task {name}": error for name, error in self._supervisor.down.items()}
        return Readiness(ready=all(result == "ok" for result in checks.values()), checks=checks, degraded=degraded)


async def _run(checks: dict[str, Callable[[], Awaitable[object]]]) -> list[str]:
    async def run(check: Callable[[], Awaitable[object]]) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await check()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what readiness has to tell)
            return f"{type(error).__name__}: {error}"
        return "ok"

    return await asyncio.gather(*(run(check) for check in checks.values()))


router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> dict[str, bool]:
    """The process runs and answers."""
    return {"alive": True}


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request) -> JSONResponse:
    """Whether requests may be sent here, and if not, why."""
    health: Health = request.app.state.health
    readiness = await health.readiness()
    return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

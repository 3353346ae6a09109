"""What `make up` starts, and with which settings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baton.ping import node_name
from baton.processes import Command
from baton.secrets_file import LocalSecrets, public_key_of
from services.kit.redis_url import broker_beside

ROOT = Path(__file__).resolve().parent.parent
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 (what people give, not a default)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything is to be found."""

    folder: Path
    host: str
    realtime_port: int
    points_port: int
    puzzle_port: int
    database_url: str
    redis_url: str
    secrets: LocalSecrets

    @property
    def local_host(self) -> str:
        """The address by which this machine reaches the services."""
        return WILDCARDS.get(self.host) or (f"[{self.host}]" if ":" in self.host else self.host)

    @property
    def address(self) -> str:
        """The one address to open."""
        return f"http://{self.local_host}:{self.realtime_port}"


def commands(plan: Plan, surroundings: Mapping[str, str]) -> list[Command]:
    """The five processes. What is set in `surroundings` (our own environment) goes before what we would choose.

    Raises ValueError where no broker is set and none can be chosen.
    """
    common = _common(plan, surroundings)
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "worker.app"]
    alone = ["--without-mingle", "--without-gossip"]  # workers have nothing to tell each other: ADR 7
    worker = [*celery, "worker", "--loglevel", "INFO", "--concurrency", "2", "--hostname", "baton@%h", *alone]
    beat = [*celery, "beat", "--loglevel", "INFO", "--schedule", str(plan.folder / "beat-schedule")]
    broker = common["CELERY_BROKER_URL"]
    talks = common.get("BATON_LOG_LEVEL", "INFO") in {"DEBUG", "INFO"}
    database = {"DATABASE_URL": plan.database_url}
    secret = {name: common.pop(name) for name in ("BATON_OPERATOR_KEY", "BATON_TOKEN_PRIVATE_KEY")}
    return [
        _service("puzzle", plan, plan.puzzle_port, common | database),
        _service("points", plan, plan.points_port, common | database | secret),
        _service("realtime", plan, plan.realtime_port, common),
        Command("worker", worker, common | database, ROOT, ready_ping=(broker, node_name("baton"))),
        Command("beat", beat, common | database, ROOT, ready_line="beat: Starting" if talks else None),
    ]


def _service(name: str, plan: Plan, port: int, environment: Mapping[str, str]) -> Command:
    return Command(
        name,
        [sys.executable, "-m", "services", name],
        {**environment, "BATON_PORT": str(port)},
        ROOT,
        ready_url=f"http://{plan.local_host}:{port}/readyz",
    )


def _common(plan: Plan, surroundings: Mapping[str, str]) -> dict[str, str]:
    private_key = surroundings.get("BATON_TOKEN_PRIVATE_KEY") or plan.secrets.private_key
    chosen = {
        "CELERY_BROKER_URL": surroundings.get("CELERY_BROKER_URL") or broker_beside(plan.redis_url),
        "BATON_POINTS_URL": f"http://{{host}}:{plan.points_port}",
        "BATON_PUZZLE_URL": f"http://{{host}}:{plan.puzzle_port}",
        "BATON_PUZZLE_INTERNAL_URL": f"http://{plan.local_host}:{plan.puzzle_port}",
        "BATON_CORS_ORIGINS": "*",
        "BATON_OPERATOR_KEY": plan.secrets.operator_key,
        "BATON_TOKEN_PRIVATE_KEY": private_key,
        "BATON_TOKEN_PUBLIC_KEYS": public_key_of(private_key),
    }
    return {
        **chosen,
        **{name: value for name, value in surroundings.items() if name != "DATABASE_URL" and value},
        "REDIS_URL": plan.redis_url,
        "BATON_HOST": plan.host,
        "PYTHONUNBUFFERED": "1",
    }

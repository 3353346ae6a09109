"""What docker-compose.yml promises, as far as it can be read off it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML comes without types

from services.kit.settings import Settings
from services.points.settings import PointsSettings
from services.puzzle.settings import PuzzleSettings
from services.realtime.settings import RealtimeSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLUSTER: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/valkey-cluster.yml").read_text())["services"]

SETTINGS: dict[str, type[Settings]] = {
    "points": PointsSettings,
    "puzzle": PuzzleSettings,
    "realtime": RealtimeSettings,
    "worker": WorkerSettings,
    "beat": WorkerSettings,
}
LEFT_ALONE = {"CELERY_BROKER_URL", "BATON_CRASH"}  # the second database of the one Valkey; for tests alone
UNUSED = {
    "worker": {"BATON_POOL_SIZE"},
    "beat": {
        "BATON_POOL_SIZE",
        "BATON_ABANDONED_AFTER_S",
        "BATON_ARCHIVE_AFTER_S",
        "BATON_FORGET_AFTER_S",
        "BATON_FINISHED_ROOM_S",
        "DATABASE_URL",
    },
}
NOT_OURS = {"FORWARDED_ALLOW_IPS"}  # uvicorn's


def names_of(settings: type[Settings]) -> set[str]:
    return {str(field.validation_alias) for field in settings.model_fields.values()}


@pytest.mark.parametrize("service", SETTINGS)
def test_a_process_can_be_given_every_setting_that_it_has_and_no_other(service: str) -> None:
    given = set(SERVICES[service]["environment"]) - NOT_OURS

    assert given == names_of(SETTINGS[service]) - LEFT_ALONE - UNUSED.get(service, set())


@pytest.mark.parametrize("service", SETTINGS)
def test_on_a_cluster_every_process_has_its_address_and_those_that_need_one_a_broker(service: str) -> None:
    given = CLUSTER[service]["environment"]
    needed = {"REDIS_URL", "CELERY_BROKER_URL"} & names_of(SETTINGS[service])

    assert given.keys() == needed
    assert given["REDIS_URL"].startswith("redis+cluster://${VALKEY_CLUSTER:?")
    assert given.get("CELERY_BROKER_URL") in {None, SERVICES[service]["environment"]["REDIS_URL"]}


def test_the_key_that_signs_and_the_operators_go_to_points_alone() -> None:
    secrets = {"BATON_TOKEN_PRIVATE_KEY", "BATON_OPERATOR_KEY"}
    holders = {name: secrets & set(service.get("environment", {})) for name, service in SERVICES.items()}

    assert {name: held for name, held in holders.items() if held} == {"points": secrets}


def test_nothing_but_the_edge_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["edge"]
    assert SERVICES["edge"]["networks"] == ["frontend"]
    assert COMPOSE["networks"]["backend"]["internal"] is True


def test_all_that_stays_up_is_watched_and_comes_back() -> None:
    lasting = [name for name, service in SERVICES.items() if service["restart"] != "no"]

    assert sorted({*SERVICES} - {*lasting}) == ["migrate"]
    assert all(SERVICES[name]["restart"] == "unless-stopped" for name in lasting)
    assert all("healthcheck" in SERVICES[name] for name in lasting)


def test_whatever_is_scaled_has_no_name_and_no_port_of_its_own() -> None:
    assert not [name for name, service in SERVICES.items() if "container_name" in service]


def test_the_image_holds_every_package_of_ours() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}

    assert kept == {*packages, "requirements/base.txt", "LICENSE"}

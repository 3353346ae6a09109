from dataclasses import replace
from pathlib import Path

import pytest

from baton.plan import Plan, commands
from baton.processes import Command
from baton.secrets_file import local_secrets, public_key_of
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY
from services.kit.tokens import public_key_of as verifiers_public_key_of


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        folder=tmp_path,
        host="127.0.0.1",
        realtime_port=8000,
        points_port=8001,
        puzzle_port=8005,
        database_url="postgresql://baton:x@127.0.0.1:1/baton",
        redis_url="redis://127.0.0.1:2/0",
        secrets=local_secrets(tmp_path),
    )


def by_name(plan: Plan, surroundings: dict[str, str] | None = None) -> dict[str, Command]:
    return {command.name: command for command in commands(plan, surroundings or {})}


def test_five_processes_are_started(plan: Plan) -> None:
    assert [command.name for command in commands(plan, {})] == ["puzzle", "points", "realtime", "worker", "beat"]


def test_only_points_can_sign_tokens(plan: Plan) -> None:
    signers = [c.name for c in commands(plan, {}) if "BATON_TOKEN_PRIVATE_KEY" in c.environment]
    assert signers == ["points"]


def test_a_private_key_from_outside_is_given_to_points_alone(plan: Plan) -> None:
    own = {"BATON_TOKEN_PRIVATE_KEY": DEVELOPMENT_PRIVATE_KEY}
    found = {c.name: c.environment.get("BATON_TOKEN_PRIVATE_KEY") for c in commands(plan, own)}
    assert found == {
        "puzzle": None,
        "points": DEVELOPMENT_PRIVATE_KEY,
        "realtime": None,
        "worker": None,
        "beat": None,
    }


def test_everybody_can_verify_what_points_signs(plan: Plan) -> None:
    expected = public_key_of(plan.secrets.private_key)
    assert {c.environment["BATON_TOKEN_PUBLIC_KEYS"] for c in commands(plan, {})} == {expected}


def test_the_public_half_is_the_one_that_services_compute() -> None:
    assert public_key_of(DEVELOPMENT_PRIVATE_KEY) == verifiers_public_key_of(DEVELOPMENT_PRIVATE_KEY)


def test_only_points_knows_the_operators_key(plan: Plan) -> None:
    assert [c.name for c in commands(plan, {}) if "BATON_OPERATOR_KEY" in c.environment] == ["points"]


def test_the_gateway_has_no_database(plan: Plan) -> None:
    surroundings = {"DATABASE_URL": "postgresql://elsewhere/x"}
    realtime = by_name(plan, surroundings)["realtime"].environment
    assert "DATABASE_URL" not in realtime
    assert by_name(plan, surroundings)["points"].environment["DATABASE_URL"] == plan.database_url


def test_celery_has_a_database_of_its_own_in_the_same_valkey(plan: Plan) -> None:
    assert {c.environment["CELERY_BROKER_URL"] for c in commands(plan, {})} == {"redis://127.0.0.1:2/1"}


def test_a_cluster_is_no_broker(plan: Plan) -> None:
    on_cluster = replace(plan, redis_url="redis+cluster://127.0.0.1:2")
    with pytest.raises(ValueError, match="Celery's broker is one server"):
        commands(on_cluster, {})
    own = by_name(on_cluster, {"CELERY_BROKER_URL": "redis://127.0.0.1:3/0"})
    assert {c.environment["CELERY_BROKER_URL"] for c in own.values()} == {"redis://127.0.0.1:3/0"}
    assert {c.environment["REDIS_URL"] for c in own.values()} == {"redis+cluster://127.0.0.1:2"}


def test_clients_are_told_public_addresses_with_the_host_left_open(plan: Plan) -> None:
    environment = by_name(plan)["realtime"].environment
    assert environment["BATON_POINTS_URL"] == "http://{host}:8001"
    assert environment["BATON_PUZZLE_URL"] == "http://{host}:8005"


def test_the_gateway_reaches_the_puzzle_service_on_this_machine(plan: Plan) -> None:
    everywhere = replace(plan, host="0.0.0.0")  # noqa: S104 (that is the case under test)
    assert by_name(everywhere)["realtime"].environment["BATON_PUZZLE_INTERNAL_URL"] == "http://127.0.0.1:8005"


def test_each_service_gets_its_port(plan: Plan) -> None:
    found = {name: c.environment.get("BATON_PORT") for name, c in by_name(plan).items()}
    assert found == {"puzzle": "8005", "points": "8001", "realtime": "8000", "worker": None, "beat": None}


def test_what_the_user_has_set_goes_first(plan: Plan) -> None:
    environment = by_name(plan, {"BATON_CORS_ORIGINS": "https://example.org", "BATON_LOG_FORMAT": "json"})
    assert environment["points"].environment["BATON_CORS_ORIGINS"] == "https://example.org"
    assert environment["points"].environment["BATON_LOG_FORMAT"] == "json"


def test_an_empty_setting_counts_as_not_set(plan: Plan) -> None:
    assert by_name(plan, {"BATON_CORS_ORIGINS": ""})["points"].environment["BATON_CORS_ORIGINS"] == "*"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 (that is the case under test)
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("play.local", "http://play.local:8000"),
    ],
)
def test_the_address_to_open_can_be_opened(plan: Plan, host: str, address: str) -> None:
    assert replace(plan, host=host).address == address


def test_a_worker_whose_log_says_little_is_still_known_to_be_ready(plan: Plan) -> None:
    quiet = by_name(plan, {"BATON_LOG_LEVEL": "WARNING"})
    assert quiet["worker"].ready_ping is not None
    assert quiet["beat"].ready_line is None
    assert by_name(plan)["beat"].ready_line is not None


def test_secrets_are_made_once_and_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    first = local_secrets(tmp_path)
    assert local_secrets(tmp_path) == first
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    other = tmp_path / "other"
    other.mkdir()
    assert local_secrets(other).operator_key != first.operator_key
    assert local_secrets(other).private_key != first.private_key

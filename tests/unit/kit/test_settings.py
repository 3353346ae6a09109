"""Settings come from the environment, and a wrong one ends the process with a clear message."""

import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.__main__ import main
from services.kit.settings import EXIT_CONFIGURATION, Settings, load, split
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, public_key_of
from services.points.settings import PointsSettings
from services.puzzle.settings import PuzzleSettings
from services.realtime.settings import RealtimeSettings
from worker.settings import WorkerSettings

PROCESSES: list[type[Settings]] = [PointsSettings, PuzzleSettings, RealtimeSettings, WorkerSettings]


def new_key() -> str:
    import base64

    return base64.urlsafe_b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode().rstrip("=")


def complaint(
    settings: type[Settings], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **env: str
) -> str:
    """What the process says before it ends."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load(settings)
    assert ended.value.code == EXIT_CONFIGURATION == 78
    return capsys.readouterr().err


@pytest.mark.parametrize("settings", PROCESSES)
def test_every_process_runs_without_any_setting(settings: type[Settings]) -> None:
    loaded = load(settings)
    assert not loaded.is_production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATON_ENV", "staging"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("REDIS_URL", "redis://127.0.0.1:valkey"),
        ("REDIS_URL", "redis+cluster://"),
        ("REDIS_URL", "redis+cluster://one:6379,:6380"),
        ("REDIS_URL", "redis+cluster://one:6379,two:700000"),
        ("REDIS_URL", "redis+cluster://one:6379/1"),
        ("REDIS_URL", "unix+cluster:///run/valkey.sock"),
        ("DATABASE_URL", "mysql://127.0.0.1/baton"),
        ("CELERY_BROKER_URL", "redis+cluster://127.0.0.1"),
        ("BATON_PORT", "70000"),
        ("BATON_PORT", "http"),
        ("BATON_LOG_FORMAT", "xml"),
        ("BATON_LOG_LEVEL", "LOUD"),
        ("BATON_TOKEN_PRIVATE_KEY", "too-short"),
        ("BATON_TOKEN_PUBLIC_KEYS", "not base64url!"),
        ("BATON_TOKEN_LIFETIME_S", "5"),
        ("BATON_OPERATOR_KEY", "short"),
        ("BATON_POOL_SIZE", "0"),
    ],
)
def test_a_wrong_setting_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = complaint(PointsSettings, capsys, monkeypatch, **{name: value})
    assert said.startswith(f"configuration: {name}: "), said
    assert "Value error" not in said


def test_all_that_is_wrong_is_told_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = complaint(PointsSettings, capsys, monkeypatch, BATON_PORT="0", REDIS_URL="x")
    assert {line.split(":")[1].strip() for line in said.splitlines()} == {"BATON_PORT", "REDIS_URL"}


@pytest.mark.parametrize("settings", [PointsSettings, PuzzleSettings, RealtimeSettings])
def test_the_built_in_keys_are_refused_in_production(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: type[Settings]
) -> None:
    said = complaint(settings, capsys, monkeypatch, BATON_ENV="production")
    assert "built-in development key" in said
    assert DEVELOPMENT_PRIVATE_KEY not in said


def test_in_production_points_needs_an_operators_key_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    keys = {"BATON_TOKEN_PRIVATE_KEY": key, "BATON_TOKEN_PUBLIC_KEYS": public_key_of(key)}
    said = complaint(PointsSettings, capsys, monkeypatch, BATON_ENV="production", **keys)
    assert said.startswith("configuration: BATON_OPERATOR_KEY: ")
    monkeypatch.setenv("BATON_OPERATOR_KEY", "an-operators-own-key")
    assert load(PointsSettings).is_production


def test_a_private_key_that_nobody_could_verify_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = complaint(PointsSettings, capsys, monkeypatch, BATON_TOKEN_PRIVATE_KEY=new_key())
    assert said.startswith("configuration: BATON_TOKEN_PUBLIC_KEYS: ")


def test_secrets_are_in_no_repr() -> None:
    shown = repr(load(PointsSettings))
    assert DEVELOPMENT_PRIVATE_KEY not in shown
    assert "development-operator-key" not in shown


@pytest.mark.parametrize(
    ("redis_url", "broker"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/1"),
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/1"),
        ("rediss://user:word@cache:6380/0", "rediss://user:word@cache:6380/1"),
    ],
)
def test_the_broker_is_database_1_beside_the_rest(monkeypatch: pytest.MonkeyPatch, redis_url: str, broker: str) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert load(WorkerSettings).broker == broker
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere:6379/0")
    assert load(WorkerSettings).broker == "redis://elsewhere:6379/0"


@pytest.mark.parametrize("redis_url", ["redis+cluster://one:6379,two:6379", "unix:///run/valkey.sock"])
def test_the_broker_needs_an_address_of_its_own_where_the_rest_is_not_one_server_with_a_port(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    for settings in (PointsSettings, WorkerSettings):
        said = complaint(settings, capsys, monkeypatch, REDIS_URL=redis_url)
        assert said.startswith("configuration: CELERY_BROKER_URL: must be set"), said
    assert load(PuzzleSettings).redis_url == load(RealtimeSettings).redis_url == redis_url
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker:6379/0")
    assert load(WorkerSettings).broker == "redis://broker:6379/0"


def test_the_old_name_of_postgres_addresses_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://baton@db/baton")
    assert load(PuzzleSettings).database_url == "postgresql://baton@db/baton"


def test_lists_are_separated_by_commas() -> None:
    assert split(" a, b ,,c ") == ["a", "b", "c"]
    assert split("") == []


@pytest.mark.parametrize("service", ["points", "puzzle", "realtime"])
def test_a_service_with_a_wrong_setting_exits_with_78_and_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["services", service])
    monkeypatch.setenv("BATON_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_CONFIGURATION
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("configuration: BATON_LOG_LEVEL: ")


def test_nothing_is_forgotten_before_it_is_archived(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATON_FORGET_AFTER_S", "3600")
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    assert "BATON_FORGET_AFTER_S" in capsys.readouterr().err
    monkeypatch.setenv("BATON_ARCHIVE_AFTER_S", "3600")
    assert load(WorkerSettings).forget_after_s == 3600

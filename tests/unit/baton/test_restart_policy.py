import pytest

from baton.processes import EXIT_CONFIGURATION, RestartPolicy, describe
from services.kit import settings


def test_each_death_makes_the_next_start_wait_longer() -> None:
    policy = RestartPolicy()
    assert [policy.delay_after_death(1, now) for now in (0.0, 1.0, 2.0, 3.0)] == [0.25, 0.5, 1.0, 2.0]


def test_the_fifth_death_within_thirty_seconds_is_the_last() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_after_death(-9, now) for now in (0.0, 5.0, 10.0, 20.0, 29.0)]
    assert delays[-1] is None
    assert None not in delays[:-1]


def test_deaths_of_long_ago_do_not_count() -> None:
    policy = RestartPolicy()
    assert {policy.delay_after_death(1, now) for now in (0.0, 40.0, 80.0, 120.0, 160.0, 200.0)} == {0.25}


def test_the_wait_has_an_end() -> None:
    policy = RestartPolicy(limit=100)
    assert max(policy.delay_after_death(1, float(now)) or 0 for now in range(20)) == policy.longest_delay


def test_wrong_settings_are_not_tried_twice() -> None:
    assert RestartPolicy().delay_after_death(EXIT_CONFIGURATION, 0.0) is None


def test_launcher_and_services_mean_the_same_by_a_configuration_error() -> None:
    assert EXIT_CONFIGURATION == settings.EXIT_CONFIGURATION


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with code 0"),
        (1, "ended with code 1"),
        (-9, "was killed by SIGKILL"),
        (-99, "was killed by signal 99"),
    ],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert describe(code) == words

import pytest
from pydantic import ValidationError

from services.realtime.settings import RealtimeSettings


def test_addresses_lose_a_slash_at_the_end_and_may_be_empty() -> None:
    settings = RealtimeSettings(points_url="https://{host}/points/", puzzle_url="")
    assert (settings.points_url, settings.puzzle_url) == ("https://{host}/points", "")


@pytest.mark.parametrize("url", ["ftp://x", "//x", "http://{hots}:1", "http://{host}/{session_id}"])
def test_addresses_that_no_client_could_use_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="points_url"):
        RealtimeSettings(points_url=url)


@pytest.mark.parametrize("url", ["", "puzzle:8002", "ftp://puzzle", "http://", "/puzzles"])
def test_an_internal_address_is_a_whole_one(url: str) -> None:
    assert RealtimeSettings(puzzle_internal_url="http://puzzle:8002/").puzzle_internal_url == "http://puzzle:8002"
    with pytest.raises(ValidationError, match="puzzle_internal_url"):
        RealtimeSettings(puzzle_internal_url=url)


@pytest.mark.parametrize("wrong", [{"join_timeout_s": 0}, {"max_frame_bytes": 10}, {"send_queue_bytes": 1}])
def test_limits_that_would_let_nobody_in_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RealtimeSettings.model_validate(wrong)

"""A golden sample of every message that crosses a process: it is read, and written back as the same JSON.

A sample is never changed to make a test pass: old processes still send it. A changed message gets a new field with a
default, or a new name and a new sample.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from contracts import events, frames, rooms

SAMPLES = Path(__file__).parent / "samples"


def tags(union: Any) -> list[str]:
    return [message.__struct_config__.tag for message in get_args(union)]


def write_frame(frame: Any) -> bytes:
    if isinstance(frame, frames.NumberedEvent):
        return frames.encode_event(frame.seq, frame.at, frame.data)
    return frames.encode(frame)


Coder = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
CODERS: dict[str, Coder] = {
    **{f"event.{tag}": (events.decode_puzzle_event, events.encode) for tag in tags(events.PuzzleEvent)},
    **{f"event.{tag}": (events.decode_points_event, events.encode) for tag in tags(events.PointsEvent)},
    "message.confirmation": (events.decode_confirmation, events.encode),
    "message.stream_end": (frames.decode_stream_end, frames.encode),
    "message.rebuild_room": (events.decode_rebuild_room, events.encode),
    **{f"fact.{name}": (frames.decode_frame, write_frame) for name in rooms.FACTS},
    **{f"from_client.{tag}": (frames.decode_from_client, frames.encode) for tag in tags(frames.FromClient)},
    **{f"frame.{tag}": (frames.decode_frame, write_frame) for tag in tags(frames.ToClient)},
}


def objects(value: Any) -> list[dict[str, Any]]:
    """Every JSON object in a JSON value."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    inner = [found for part in parts for found in objects(part)]
    return [value, *inner] if isinstance(value, dict) else inner


def test_every_message_has_a_sample_and_every_sample_a_message() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(CODERS)


@pytest.mark.parametrize("name", sorted(CODERS))
def test_a_sample_is_read_and_written_back_as_the_same(name: str) -> None:
    decode, encode = CODERS[name]
    sample = (SAMPLES / f"{name}.json").read_bytes()
    message = decode(sample)
    assert json.loads(encode(message)) == json.loads(sample)
    assert decode(encode(message)) == message or isinstance(message, frames.Snapshot)
    tag = json.loads(sample).get("type")
    assert tag is None or name.endswith(f".{tag}")


@pytest.mark.parametrize("name", sorted(CODERS))
def test_a_field_from_the_future_is_ignored(name: str) -> None:
    decode, encode = CODERS[name]
    sample = json.loads((SAMPLES / f"{name}.json").read_bytes())
    expected = json.loads((SAMPLES / f"{name}.json").read_bytes())
    for part in (sample, *(sample.get(field) for field in ("data", "closed", "next", "puzzle"))):
        if isinstance(part, dict):
            part["from_the_future"] = {"any": ["thing"]}
    assert json.loads(encode(decode(json.dumps(sample).encode()))) == expected


@pytest.mark.parametrize("name", sorted(CODERS))
def test_a_message_that_lacks_what_it_must_have_is_refused(name: str) -> None:
    decode, _ = CODERS[name]
    sample = json.loads((SAMPLES / f"{name}.json").read_bytes())
    for wrong in ({"type": "no.such"}, {"type": sample.get("type"), "seq": "1", "id": "x", "event_id": 1}):
        with pytest.raises(msgspec.DecodeError):
            decode(json.dumps({**wrong, "session_id": 1, "token": 1, "code": 1}).encode())


def test_the_state_of_a_snapshot_is_a_state() -> None:
    snapshot = frames.decode_frame((SAMPLES / "frame.snapshot.json").read_bytes())
    assert isinstance(snapshot, frames.Snapshot)
    state = rooms.decode_state(snapshot.state)
    assert json.loads(rooms.encode(state)) == json.loads(bytes(snapshot.state))


def test_no_sample_tells_the_answer_of_an_open_puzzle() -> None:
    views = 0
    for path in SAMPLES.glob("*.json"):
        for found in objects(json.loads(path.read_bytes())):
            if "view" in found:
                views += 1
                assert set(found) == {"puzzle_id", "type", "difficulty", "view", "opened_at", "deadline"}
    assert views > 5

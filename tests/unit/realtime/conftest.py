"""A room, and what it has asked for."""

from uuid import uuid4

import pytest

from contracts.ids import SessionId
from services.realtime.room import Room


@pytest.fixture
def gaps() -> list[Room]:
    return []


@pytest.fixture
def dirty() -> list[Room]:
    return []


@pytest.fixture
def room(gaps: list[Room], dirty: list[Room]) -> Room:
    return Room(SessionId(uuid4()), gaps.append, dirty.append)

"""What players say to their team-mates over the gateway: ephemeral, unnumbered, kept by nobody.

Two messages of each kind: what a player sends, and the same as everybody in the room is told, the sender too. These
carry who said it and when, as the gateway knows it: nothing in them is a client's word about itself.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.ids import PlayerId, PuzzleId

MAX_TEXT = 280

Part = Annotated[float, Meta(ge=0, le=1)]
"""A place as a part of the shared field's width or height, so that it means the same on every screen."""
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.:-]{0,31}\Z")]
"""A word that clients agree on among themselves. To the gateway all are the same."""
Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""An integer that every client's language holds without an error."""
Detail = Annotated[
    dict[Annotated[str, Meta(max_length=32)], Annotated[str, Meta(max_length=200)] | Whole | float | bool | None],
    Meta(max_length=16),
]
"""A flat object: no more than clients need to draw what a team-mate does."""


class SendCursor(Struct, frozen=True, kw_only=True, tag="cursor"):
    """Where the player points."""

    x: Part
    y: Part


class SendInteraction(Struct, frozen=True, kw_only=True, tag="interaction"):
    """What the player does with a puzzle before there is an answer, such as turning a card."""

    action: Name
    puzzle_id: PuzzleId | None = None
    detail: Detail = {}


class SendChat(Struct, frozen=True, kw_only=True, tag="chat"):
    """Up to 280 characters in one line."""

    text: str


class SendEmote(Struct, frozen=True, kw_only=True, tag="emote"):
    """A gesture."""

    emote: Name


class Stamped(Struct, frozen=True, kw_only=True):
    """Who said it. `at` is the gateway's clock in milliseconds since the Unix epoch."""

    player_id: PlayerId
    at: int


class Cursor(Stamped, frozen=True, kw_only=True, tag="cursor"):
    """A player points at a place."""

    x: Part
    y: Part


class Interaction(Stamped, frozen=True, kw_only=True, tag="interaction"):
    """A player does something with a puzzle."""

    action: Name
    puzzle_id: PuzzleId | None = None
    detail: Detail = {}


class Chat(Stamped, frozen=True, kw_only=True, tag="chat"):
    """A player says something."""

    text: str


class Emote(Stamped, frozen=True, kw_only=True, tag="emote"):
    """A player makes a gesture."""

    emote: Name


FromPlayer = SendCursor | SendInteraction | SendChat | SendEmote
ToRoom = Cursor | Interaction | Chat | Emote

"""④ Adding to streams: many entries by one command, which costs a client and Valkey little more than one entry."""

from collections.abc import Collection
from typing import Any

STREAM_LENGTH = 100_000
"""A last resort: what is handled is deleted, and what is cut off is sent again."""

_SCRIPT = """
for place = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[place])
end
"""


def add(pipeline: Any, stream: str, payloads: Collection[bytes]) -> None:
    """Have a pipeline add entries to a stream, in their order, as one step."""
    pipeline.execute_command("EVAL", _SCRIPT, 1, stream, STREAM_LENGTH, *payloads)

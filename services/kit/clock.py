"""One clock for all that counts: the database's, in whole milliseconds since the Unix epoch."""

import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NOW = text("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")


async def now_ms(connection: AsyncConnection) -> int:
    """The database's time at this moment, also in the middle of a transaction."""
    return int((await connection.execute(_NOW)).scalar_one())


def local_ms() -> int:
    """This machine's time: good for what is shown and for time-outs, never for points."""
    return time.time_ns() // 1_000_000

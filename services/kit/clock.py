"""One clock for all that counts: the database's, in whole milliseconds since the Unix epoch."""

import time

from sqlalchemy import BigInteger, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

NOW_MS = literal_column("floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint", BigInteger)
"""The same as an expression, where a statement needs the time and no other round trip should be spent on it."""


async def now_ms(connection: AsyncConnection) -> int:
    """The database's time at this moment, also in the middle of a transaction."""
    return int((await connection.execute(select(NOW_MS))).scalar_one())


def local_ms() -> int:
    """This machine's time: good for what is shown and for time-outs, never for points."""
    return time.time_ns() // 1_000_000

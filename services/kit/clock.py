"""One clock for all that counts: the database's, in whole milliseconds since the Unix epoch."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a gateway has no database, and need not load what speaks to one
    from sqlalchemy.ext.asyncio import AsyncConnection

NOW_SQL = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"


async def now_ms(connection: "AsyncConnection") -> int:
    """The database's time at this moment, also in the middle of a transaction."""
    return int((await connection.exec_driver_sql(f"SELECT {NOW_SQL}")).scalar_one())


def local_ms() -> int:
    """This machine's time: good for what is shown and for time-outs, never for points."""
    return time.time_ns() // 1_000_000

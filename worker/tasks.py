"""The tasks: each a few lines around the services' use cases."""

from typing import Any

from celery.signals import worker_process_shutdown

from contracts import tasks
from contracts.channels import GROUP_OF
from services.kit import stream_upkeep
from services.points.service import replaying, retention, sessions, settling, standings, ticking
from services.points.service import upkeep as points
from services.puzzle.service import failures
from services.puzzle.service import upkeep as puzzle
from worker.app import app, settings
from worker.runtime import Resources, Runtime

runtime = Runtime(settings)


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    runtime.close()


@app.task(name=tasks.END_COUNTDOWNS)
def end_countdowns() -> int:
    """Begin the sessions whose countdown is over, as of its end."""

    async def use(held: Resources) -> int:
        return await settling.begin_due(held.points)

    return runtime.run(use)


@app.task(name=tasks.SETTLE)
def settle() -> int:
    """Settle decay, eliminations and ends, as far as all answers have been handled."""

    async def use(held: Resources) -> int:
        return await settling.settle_due(held.points, held.positions)

    return runtime.run(use)


@app.task(name=tasks.TELL_ROOMS)
def tell_rooms() -> int:
    """Tell the rooms that somebody watches everybody's points."""

    async def use(held: Resources) -> int:
        return await ticking.tell_watched(held.points, held.redis)

    return runtime.run(use)


@app.task(name=tasks.EXPIRE_PUZZLES)
def expire_puzzles() -> int:
    """Close the puzzles whose time is up, and deal the next."""

    async def use(held: Resources) -> int:
        return await puzzle.expire_due(held.puzzle, held.types)

    return runtime.run(use)


@app.task(name=tasks.SWEEP)
def sweep() -> int:
    """Send again what was not confirmed, and tell again what rooms were not told."""

    async def use(held: Resources) -> int:
        sent = await puzzle.sweep(held.puzzle) + await points.sweep(held.points)
        return sent + await held.announcer.sweep()

    return runtime.run(use)


@app.task(name=tasks.FOLD_STANDINGS)
def fold_standings() -> int:
    """Add what finished games changed to the tallies of the standings."""

    async def use(held: Resources) -> int:
        return await standings.fold(held.points)

    return runtime.run(use)


@app.task(name=tasks.REPLAY_FINISHED)
def replay_finished() -> int:
    """Re-create finished games from their logs, each once, and compare."""

    async def use(held: Resources) -> int:
        return await replaying.replay_finished(held.points)

    return runtime.run(use)


@app.task(name=tasks.ARCHIVE_FINISHED)
def archive_finished() -> int:
    """Archive the games that ended long ago, and forget what is older still."""

    async def use(held: Resources) -> int:
        after, forget_after = runtime.settings.archive_after_s * 1000, runtime.settings.forget_after_s
        done = await retention.archive_finished(held.points, after) + await puzzle.forget_finished(held.puzzle, after)
        if forget_after is not None:
            done += await retention.forget_archived(held.points, forget_after * 1000)
        return done

    return runtime.run(use)


@app.task(name=tasks.CLOSE_ABANDONED)
def close_abandoned() -> int:
    """Finish lobbies that nobody ever started."""

    async def use(held: Resources) -> int:
        async with held.points.transaction() as transaction:
            return await sessions.close_abandoned(transaction, runtime.settings.abandoned_after_s * 1000)

    return runtime.run(use)


@app.task(name=tasks.FORGET_OLD)
def forget_old() -> int:
    """Delete what was remembered long enough."""

    async def use(held: Resources) -> int:
        forgotten = await points.forget_old(held.points) + await puzzle.forget_old(held.puzzle)
        return forgotten + await stream_upkeep.forget_gone(held.redis, GROUP_OF.items())

    return runtime.run(use)


@app.task(name=tasks.RETRY_DEAD_LETTERS)
def retry_dead_letters() -> int:
    """Try the events once more that were given up. On request only: `celery -A worker.app call` with its name."""

    async def use(held: Resources) -> int:
        retried = await points.retry_dead_letters(held.points)
        return retried + await failures.retry_dead_letters(held.puzzle, held.types)

    return runtime.run(use)

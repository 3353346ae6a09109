"""What waits for a client that does not take it: bounded in bytes, and what may be lost is lost first."""

from collections import deque
from collections.abc import Iterable

from services.kit import metrics
from services.realtime.frame import Frame


class Backlog:
    """Frames in order, at most `limit_bytes` of them. Ephemeral ones take half of that, and make room for others."""

    __slots__ = ("_frames", "_limit", "size")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._frames: deque[Frame] = deque()
        self.size = 0

    def offer(self, frame: Frame) -> None:
        """Add a frame that may be dropped, if there is room."""
        if self.size + len(frame.wire) > self._limit // 2:
            metrics.dropped_ephemeral.inc()
        else:
            self._append(frame)

    def add(self, frame: Frame) -> bool:
        """Add a frame that must not be lost. Returns False where there is no room for it."""
        if self.size + len(frame.wire) > self._limit:
            self._drop_ephemeral()
            if self.size + len(frame.wire) > self._limit:
                return False
        self._append(frame)
        return True

    def take(self) -> Iterable[Frame]:
        """All frames; the backlog is empty then."""
        frames, self._frames, self.size = self._frames, deque(), 0
        return frames

    def take_some(self, size: int) -> list[Frame]:
        """The next frames, of about `size` bytes together; none when the backlog is empty."""
        taken: list[Frame] = []
        while self._frames and size > 0:
            frame = self._frames.popleft()
            taken.append(frame)
            self.size -= len(frame.wire)
            size -= len(frame.wire)
        return taken

    def clear(self) -> None:
        """Give up what waits."""
        self._frames.clear()
        self.size = 0

    def _append(self, frame: Frame) -> None:
        self._frames.append(frame)
        self.size += len(frame.wire)

    def _drop_ephemeral(self) -> None:
        frames = self.take()
        dropped = 0
        for frame in frames:
            if frame.ephemeral:
                dropped += 1
            else:
                self._append(frame)
        metrics.dropped_ephemeral.inc(dropped)

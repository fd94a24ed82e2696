"""An event loop whose time leaps to the next thing that is due: hours in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Leaping(selectors.SelectSelector):
    """Never waits: it moves the clock by as much as it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self.now += max(timeout, 1e-9)
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """`time` is 0 at first, and what is due happens in its order."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now

    def stand_still(self, seconds: float) -> None:
        """So much time passes in which nothing is done."""
        self._leaping.now += seconds


def leap(story: Coroutine[object, object, T]) -> T:
    """Runs a story on a loop of its own, which is closed when it ends."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(story)

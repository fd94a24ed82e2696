"""Reports: what a `push` check is told, and when it has been told nothing for too long.

Knows: when each target's last report was, and its `ttl`. Refuses to know: what follows, who
reports. Invariant: one heap entry per target that was ever reported, however often it is, and one
more for each change of its `ttl`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from gslb.core.check import Target


class Reports:
    """`expire` is called in the loop with a target and the seconds since its last report, once
    for each silence. A target that was never reported does not expire."""

    def __init__(self, expire: Callable[[Target, float], None], clock: Callable[[], float]) -> None:
        self._expire = expire
        self._clock = clock
        self._ttl_s: dict[Target, float] = {}
        self._last: dict[Target, float] = {}
        self._heap: list[tuple[float, Target]] = []
        # When each is looked at next; other entries of the heap are leftovers.
        self._due: dict[Target, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, target: Target, ttl_s: float) -> None:
        """Look after a target, or give it another `ttl`."""
        if self._ttl_s.get(target) == ttl_s:
            return
        self._ttl_s[target] = ttl_s
        if target in self._last:
            self._await(target)
            self._arm()

    def forget(self, target: Target) -> None:
        """A target is gone."""
        for known in (self._ttl_s, self._last, self._due):
            known.pop(target, None)

    def note(self, target: Target, at: float) -> None:
        """A report came, or counts as if it had come, at `at`."""
        self._last[target] = at
        if target not in self._due:
            self._await(target)
            self._arm()

    def renew(self, at: float) -> None:
        """Whatever was silent meanwhile has its `ttl` from now on: we could not hear it."""
        for target in self._last:
            self.note(target, at)

    def stop(self) -> None:
        """Nothing expires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await(self, target: Target) -> None:
        self._due[target] = due = self._last[target] + self._ttl_s[target]
        heapq.heappush(self._heap, (due, target))

    def _arm(self) -> None:
        self.stop()
        if self._heap:
            wait_s = max(0.0, self._heap[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _look(self) -> None:
        """Expire what is due; what was reported meanwhile waits again."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, target = heapq.heappop(self._heap)
            if self._due.get(target) != due:
                continue
            del self._due[target]
            # By the same sum as before: a rounded difference could wait for ever for this moment.
            if self._last[target] + self._ttl_s[target] > now:
                self._await(target)
            else:
                self._expire(target, now - self._last[target])
        self._arm()

"""When each target is probed next: a heap of times, and nothing else.

Knows: the grid of every target (a fixed phase within its interval, taken from a hash of the
target, so that probes spread over the interval and a reload moves nothing), jitter,
who is due, and who goes first all the same. Refuses to know: the clock (every time is an
argument), tasks, sockets. Invariant: a target is either waiting, with one due time, or running,
from `take` to `renew`; so it is never probed twice at once, and an overload makes probes late,
oldest first, instead of piling them up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import floor

from gslb.core.check import Target

_LEFTOVERS = 64  # times that are nobody's any more, beside one for each target


@dataclass(slots=True)
class _Beat:
    """A target's rhythm; `due` is None while it is running, `started` is its last start.

    `off_grid` if the last or the coming start has nothing to do with the grid.
    """

    interval_s: float
    jitter: float
    phase_s: float
    due: float | None
    started: float
    off_grid: bool = False

    def after(self, at: float) -> float:
        """The first point of the grid after `at`.

        A start on the very point must not find that same point again through rounding.
        """
        beats = floor((at - self.phase_s) / self.interval_s + 1e-9) + 1
        return self.phase_s + beats * self.interval_s


def phase_of(target: Target) -> float:
    """The target's place within the interval, 0 to 1, equal in every process."""
    text = f"{target.check} {target.address} {target.port}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest()) / 2**32


class Schedule:
    """Due times in seconds of any one clock; `draw` gives numbers in [0, 1) for jitter."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._beats: dict[Target, _Beat] = {}
        # May hold times that are no longer a target's due: told apart when they come up.
        self._heap: list[tuple[float, Target]] = []
        self._summoned: dict[Target, None] = {}  # the last one goes first

    def add(self, target: Target, interval_s: float, jitter: float, now: float) -> None:
        """Begin a target on its grid; a known one keeps its time unless its rhythm changed."""
        known = self._beats.get(target)
        if known is not None and (known.interval_s, known.jitter) == (interval_s, jitter):
            return
        phase_s = phase_of(target) * interval_s
        beat = _Beat(interval_s, jitter, phase_s, None, known.started if known else now)
        self._beats[target] = beat
        if known is None or known.due is not None:
            self._wait(target, beat, beat.after(now))

    def remove(self, target: Target) -> None:
        """Forget a target, waiting or running."""
        self._beats.pop(target, None)
        self._summoned.pop(target, None)

    def hasten(self, target: Target, at: float) -> None:
        """Make a waiting target due at `at` if that is earlier; a running one is left alone."""
        beat = self._beats[target]
        if beat.due is not None and at < beat.due:
            beat.off_grid = True
            self._wait(target, beat, at)

    def summon(self, target: Target, at: float) -> None:
        """As `hasten`, and it goes before all that is late already."""
        self.hasten(target, at)
        if self._beats[target].due is not None:
            self._summoned[target] = None

    def dismiss(self) -> None:
        """Those who were summoned wait among the others again."""
        self._summoned.clear()

    def take(self, now: float, limit: int) -> list[tuple[Target, float]]:
        """At most `limit` targets that are due, with their due times; now running.

        Who was summoned comes first, then the oldest.
        """
        taken: list[tuple[Target, float]] = []
        while len(taken) < limit:
            due = self.next_due()
            if due is None or due > now:
                break
            target = self._summoned.popitem()[0] if self._summoned else self._heap[0][1]
            beat = self._beats[target]
            if beat.due is not None and beat.due <= now:
                taken.append((target, beat.due))
                beat.due, beat.started = None, now
        return taken

    def renew(self, target: Target, now: float, wait_s: float | None = None) -> None:
        """A running target is done: it waits for its grid, or for `wait_s` after its start.

        A probe that outlasted the next point is followed by another at once; one that was
        made out of turn stands for a point that is less than half an interval away. A
        target removed meanwhile stays removed.
        """
        beat = self._beats.get(target)
        if beat is None or beat.due is not None:
            return
        if wait_s is None:
            spared_s = beat.interval_s / 2 if beat.off_grid else 0.0
            shift_s = beat.interval_s * beat.jitter * self._draw()
            due = beat.after(beat.started + spared_s) + shift_s
        else:
            due = beat.started + wait_s
        beat.off_grid = wait_s is not None
        self._wait(target, beat, max(now, due))

    def next_due(self) -> float | None:
        """The earliest due time, None if nothing waits."""
        while self._heap:
            due, target = self._heap[0]
            beat = self._beats.get(target)
            if beat is not None and beat.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def _wait(self, target: Target, beat: _Beat, due: float) -> None:
        beat.due = due
        if len(self._heap) > 2 * len(self._beats) + _LEFTOVERS:
            self._heap = [(b.due, t) for t, b in self._beats.items() if b.due is not None]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due, target))

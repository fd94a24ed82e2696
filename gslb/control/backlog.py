"""What a server has to keep, and what of it is not in the state file yet.

Knows: that a later state replaces an earlier one, and what comes back after a write that failed.
Refuses to know: files, threads (the store holds a lock around every call). Invariant: whatever the
order of failures, what is written in the end is what there is; events are bounded, the rest is by
the configuration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gslb.core.check import Target
from gslb.core.kept import Happening, Kept, Memory
from gslb.core.override import ObjectKind, Override

MOST_EVENTS: Final = 10_000  # that wait; of more the oldest are lost

Key = tuple[ObjectKind, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes; None stands for what is removed.

    `whole`: overrides and health are all there are, whatever the file has.
    """

    overrides: Mapping[Key, Override | None] = field(default_factory=dict)
    health: Mapping[Target, Kept | None] = field(default_factory=dict)
    alive: float | None = None
    events: tuple[Happening, ...] = ()
    whole: bool = False

    def __bool__(self) -> bool:
        some = self.overrides or self.health or self.events or self.alive is not None
        return bool(some) or self.whole


class Backlog:
    """`dropped` counts the events that were lost."""

    def __init__(self) -> None:
        self.dropped = 0
        self._overrides: dict[Key, Override] = {}
        self._health: dict[Target, Kept] = {}
        self._alive: float | None = None
        # What differs from the file.
        self._put: dict[Key, Override | None] = {}
        self._seen: dict[Target, Kept | None] = {}
        self._is_alive_new = False
        self._events: deque[Happening] = deque()

    @property
    def memory(self) -> Memory:
        """All there is."""
        return Memory(tuple(self._overrides.values()), tuple(self._health.values()))

    @property
    def is_empty(self) -> bool:
        """True if everything is in the file."""
        return not (self._put or self._seen or self._is_alive_new or self._events)

    def put(self, key: Key, override: Override | None) -> None:
        """An override that is set, or cleared. Their order is that in which they were set."""
        self._overrides.pop(key, None)
        if override is not None:
            self._overrides[key] = override
        self._put.pop(key, None)
        self._put[key] = override

    def see(self, changed: Iterable[Kept]) -> None:
        """The states of targets."""
        for kept in changed:
            self._health[kept.target] = self._seen[kept.target] = kept

    def forget(self, watched: Iterable[Target]) -> None:
        """No state of any target but these."""
        for target in set(self._health) - frozenset(watched):
            del self._health[target]
            self._seen[target] = None

    def live(self, at: float) -> None:
        """Health as it is was so at `at`."""
        self._alive = at
        self._is_alive_new = True

    def add(self, event: Happening) -> None:
        """An event; its id is above those before."""
        self._events.append(event)
        if len(self._events) > MOST_EVENTS:
            self._events.popleft()
            self.dropped += 1

    def events(self, after: int) -> tuple[Happening, ...]:
        """Those that wait and have an id above `after`."""
        return tuple(event for event in self._events if event.id > after)

    def take(self, whole: bool) -> Batch:
        """What is to be written next; `whole`: all there is."""
        alive = self._alive if whole or self._is_alive_new else None
        events = tuple(self._events)
        overrides: Mapping[Key, Override | None] = self._put
        health: Mapping[Target, Kept | None] = self._seen
        if whole:
            overrides, health = dict(self._overrides), dict(self._health)
        self._put, self._seen, self._is_alive_new = {}, {}, False
        self._events.clear()
        return Batch(overrides, health, alive, events, whole)

    def put_back(self, batch: Batch) -> None:
        """After a write that failed: what has changed since counts."""
        self._put = _overlaid(batch.overrides, self._put)
        self._seen = {**batch.health, **self._seen}
        self._is_alive_new = self._is_alive_new or batch.alive is not None
        lost = max(0, len(batch.events) + len(self._events) - MOST_EVENTS)
        self._events.extendleft(reversed(batch.events[lost:]))
        self.dropped += lost

    def remember(self, memory: Memory) -> None:
        """What was read counts, but for what has changed and is not written yet."""
        self.adopt(memory.overrides)
        health = {each.target: each for each in memory.health} | self._seen
        self._health = {target: each for target, each in health.items() if each is not None}

    def adopt(self, overrides: Iterable[Override]) -> None:
        """As `remember`, of overrides only."""
        read = {(each.kind, each.name): each for each in overrides}
        both = _overlaid(read, self._put)
        self._overrides = {key: each for key, each in both.items() if each is not None}


def _overlaid(before: Mapping[K, V], after: Mapping[K, V]) -> dict[K, V]:
    """Both, in the order in which they were set."""
    return {key: value for key, value in before.items() if key not in after} | dict(after)

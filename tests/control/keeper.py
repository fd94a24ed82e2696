"""What the tests of the state store share: a store in a hurry, and values to keep."""

from __future__ import annotations

import asyncio
import contextlib
import time

from gslb.control.rhythm import Rhythm
from gslb.control.state import FILE, StateStore
from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.kept import Happening, Kept
from gslb.core.override import Override

HURRY = Rhythm(
    write_s=0.02, retry_s=0.02, longest_retry_s=0.1, tell_s=60.0, patience_s=30.0, busy_s=0.1
)
NOW = 1_763_750_000.0
ROWS = 500  # of health, in a folder that was filled


def override(name="web", kind="pool", state="drain", until=None, why="kernel upgrade"):
    return Override(kind, name, state, "ann", why, NOW, NOW + 5, until)


def kept(number=1, state=State.UP, since=NOW, seen_at=NOW, held=False):
    address = f"192.0.{number // 256 + 2}.{number % 256}"
    return Kept(Target("web", address, 80), state, since, seen_at, held)


def overrides(*names):
    return tuple(override(name) for name in names)


def happening(number=1, at=NOW):
    return Happening(at, "transition", f"web/{number}", "up", "down", "timeout after 2.0 s", "")


class Keeper:
    """A folder, the stores that are opened in it, and what they told."""

    def __init__(self, folder):
        self.folder = folder
        self.told = []
        self._open = []

    @property
    def path(self):
        return self.folder / FILE

    @property
    def aside(self):
        """Main files that were set aside, oldest first."""
        found = sorted(self.folder.glob(f"{FILE}.set-aside-*"))
        return [path for path in found if not path.name.endswith(("-wal", "-shm"))]

    async def open(self, rhythm=HURRY, clock=lambda: NOW, **options):
        """A store, and what it remembers."""
        store = StateStore(self.folder, clock, tell=self.told.append, rhythm=rhythm, **options)
        self._open.append(store)
        return store, await store.open()

    async def remembered(self):
        """What a server that starts now would remember."""
        store, memory = await self.open()
        await store.close()
        return memory

    async def close(self):
        for store in self._open:
            await store.close()


async def fill(keeper):
    """A file with something of everything, as a clean stop leaves it."""
    store, _ = await keeper.open()
    for name in "abc":
        assert await store.put_override(override(name))
    store.keep_health(kept(number, State.DOWN) for number in range(ROWS))
    for number in range(200):
        store.keep_event(happening(number))
    await store.close()


async def until(condition, within_s=20.0, complaint=lambda: ""):
    """Waits for a condition, which may be a coroutine function."""
    end = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"it did not come to pass: {complaint()}"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)

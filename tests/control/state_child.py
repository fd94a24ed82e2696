"""A process that keeps overrides and events, and prints what was acknowledged, until it is killed.

    python -m tests.control.state_child FOLDER NAME

It begins when it gets a line. Each line of its own is written after the store acknowledged:
`put NAME`, `drop NAME`, `event ID`.
"""

import asyncio
import itertools
import sys
import time
from dataclasses import replace

from gslb.control.state import StateStore

from .keeper import HURRY, happening, kept, override


def tell(act, what):
    sys.stdout.write(f"{act} {what}\n")
    sys.stdout.flush()


async def main(folder, mine):
    sys.stdin.readline()
    store = StateStore(folder, rhythm=replace(HURRY, busy_s=5.0))
    await store.open()
    for number in itertools.count():
        store.keep_event(happening(number, time.time()))
        store.keep_health(kept(each, since=float(number)) for each in range(30))
        store.keep_alive(float(number))
        name = f"{mine}-{number}"
        if await store.put_override(override(name)):
            tell("put", name)
        if number % 3 == 2 and await store.drop_override("pool", f"{mine}-{number - 1}"):
            tell("drop", f"{mine}-{number - 1}")
        if number % 5 == 0:
            seen = await store.events(0, 1)
            tell("event", seen[0].id)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

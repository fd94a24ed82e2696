"""The act in which an operator takes a region out, in containers, and gives it back.

Knows: the commands, who is told, and that clients must not notice more than another page.
Refuses to know: health: nothing is broken here. Invariant: what was forced is released again
when the act ends, however it ends; if even that fails, it expires by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from gslb.lab.change import TYPES
from gslb.lab.diary import expect_none, expect_places, wait_for, wait_until
from gslb.lab.scene import PUBLISH_MAX_S, Scene
from gslb.lab.site import SERVERS, Server, places
from gslb.lab.world import REGIONS

DRAINED: Final = REGIONS[0].name
TOLD: Final = SERVERS[0]  # where the operator types; it tells the other one
DRAIN: Final = ("gslb", "drain", DRAINED, "--for", "5m", "--why", "the drill looks what happens")
RELEASE: Final = ("gslb", "override", DRAINED, "clear", "--why", "the drill has seen it")


async def act_drained(scene: Scene) -> None:
    """One command at one server reaches both; the region's clients leave it and come home."""
    there = places({DRAINED}, scene.watch.dwellers)
    released = False
    try:
        await _follow(scene, "drained", DRAIN, there)
        released = True  # from here on it is part of what is watched
        await _follow(scene, "released", RELEASE, places((), scene.watch.dwellers))
    finally:
        if not released:
            await scene.engine.execute(scene.containers[TOLD.name], RELEASE)


async def _follow(scene: Scene, act: str, command: Sequence[str], expected: dict[str, str]) -> None:
    """Gives the command, and sees both servers and every client obey it."""
    report, limits = scene.report, scene.limits("up")
    diary = await scene.watch.open_diary(expected)
    report.mark(f"in {TOLD.name}: {' '.join(command)}")
    done = await scene.engine.execute(scene.containers[TOLD.name], command)
    said = [" ".join(line.split()) for line in done.text.splitlines() if line.strip()]
    for line in said:
        report.mark(line)
    report.expect(
        f"{act}: the command reaches both servers",
        done.status == 0,
        f"exit status {done.status}: {said[-1] if said else 'no word'}",
    )
    wanted = next(expected[who] for who, home in places().items() if home == DRAINED)

    async def obeys(server: Server, rrtype: int) -> bool:
        async def look() -> bool:
            return await scene.watch.is_answer(server.dns, DRAINED, rrtype, wanted)

        return await wait_for(look, PUBLISH_MAX_S)

    pairs = [(server, rrtype) for server in scene.watch.servers for rrtype in TYPES]
    obeyed = await asyncio.gather(*(obeys(*pair) for pair in pairs))
    still = [
        f"{TYPES[rrtype]} of {server.name}"
        for (server, rrtype), good in zip(pairs, obeyed, strict=True)
        if not good
    ]
    report.expect(
        f"{act}: within {PUBLISH_MAX_S:.0f} s both servers send {DRAINED}'s clients to {wanted}",
        not still,
        f"not: {', '.join(still)}" if still else "",
    )
    if await wait_until(lambda: diary.complete, limits.caches_s):
        report.mark(f"the last client has moved: {diary.last}", diary.arrived_s[diary.last])
    await asyncio.sleep(scene.quiet_s)
    await scene.expect_whole(act, diary)
    expect_places(report, f"{act}: every client goes where it should and stays", diary)
    expect_none(report, f"{act}: no request is lost", diary.lost)

"""The acts in which regions fail and come back, in containers.

Knows: what each act breaks, and who may lose what by it. Refuses to know: how it is broken and
watched. Invariant: an act that went well leaves everybody at home.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.change import Change
from gslb.lab.diary import Diary, expect_losses, expect_none, wait_until
from gslb.lab.metric import count_queries
from gslb.lab.report import Report
from gslb.lab.scene import Scene
from gslb.lab.site import (
    DWELLERS,
    PARENT,
    RESOLVER,
    SERVERS,
    SORRY,
    ZONE,
    homes,
    next_nearest,
)
from gslb.lab.stub import AAAA, NOERROR, A, NameServer, NoAnswer, Patience, Question, exchange
from gslb.lab.world import NAME, REGIONS, LabError

PEACE_MAX_S: Final = 30.0
NS: Final = 2
BROKEN: Final = REGIONS[0].name  # the region that is stopped and cut off


async def await_peace(scene: Scene) -> None:
    """Waits until every client is at home, after a start. Raises LabError if that never comes."""
    diary = await scene.watch.open_diary(homes())
    if not await wait_until(lambda: diary.complete, PEACE_MAX_S):
        who = next(who for who in diary.expected if who not in diary.arrived_s)
        last = next((note for note in reversed(diary.notes) if note.who == who), None)
        seen = "no visit" if last is None else last.failure or f"it is at {last.region}"
        raise LabError(
            f"{who} has not come to {diary.expected[who]} in {PEACE_MAX_S:.0f} s: {seen};"
            " the lab was not well before the drill"
        )


async def act_steady(scene: Scene) -> None:
    """Everybody is at home through the resolver, by a real delegation, and nothing is lost."""
    report = scene.report
    diary = await scene.watch.open_diary(homes())
    began_s = report.mark(
        f"steady: {len(DWELLERS)} clients, IPv4 and IPv6, through Unbound; TTL {scene.ttl_s} s"
    )
    before = {server: await scene.watch.read_samples(server) for server in SERVERS}
    await asyncio.sleep(2 * scene.ttl_s + 2)  # each answer was asked for anew twice
    for server in SERVERS:
        count = count_queries(await scene.watch.read_samples(server)) - count_queries(
            before[server]
        )
        report.expect(f"steady: the resolver asks {server.name}", count > 0, f"{count:.0f} queries")
    await expect_recursion(report, RESOLVER)
    await expect_delegation(report, PARENT)
    await scene.expect_quiet("steady", diary, began_s)


async def expect_recursion(report: Report, resolver: NameServer) -> None:
    """What clients get is a resolver's answer, not ours."""
    what = "steady: the answer comes from a resolver (RA, not AA)"
    try:
        reply = await exchange(resolver, Question(NAME, recursion=True), Patience())
    except NoAnswer as error:
        report.expect(what, False, str(error))
        return
    header = reply.header
    addresses = [str(rr.rdata) for rr in reply.rr if rr.rtype == A]
    passed = header.rcode == NOERROR and header.ra == 1 and header.aa == 0 and addresses != []
    report.expect(what, passed, f"{', '.join(addresses)}; RA {header.ra}, AA {header.aa}")


async def expect_delegation(report: Report, parent: NameServer) -> None:
    """The parent refers to both servers, with glue in both families, and answers nothing."""
    what = f"steady: the parent delegates {ZONE} with glue"
    try:
        reply = await exchange(parent, Question(NAME), Patience())
    except NoAnswer as error:
        report.expect(what, False, str(error))
        return
    names = {
        str(rr.rdata).rstrip(".").lower()
        for rr in reply.auth
        if rr.rtype == NS and str(rr.rname).rstrip(".").lower() == ZONE
    }
    glue = {
        str(rr.rdata)
        for rr in reply.ar
        if rr.rtype in (A, AAAA) and str(rr.rname).rstrip(".").lower() in names
    }
    wanted = {address for server in SERVERS for address in server.addresses}
    passed = (
        (reply.header.rcode, reply.header.aa, len(reply.rr)) == (NOERROR, 0, 0)
        and len(names) == len(SERVERS)
        and glue == wanted
    )
    report.expect(what, passed, f"NS {', '.join(sorted(names))}; {len(glue)} addresses")


async def act_stopped(scene: Scene) -> None:
    """A region's application is stopped; its clients go to the next nearest region."""
    act, refuge = "failover", next_nearest(BROKEN)
    container = scene.containers[f"web-{BROKEN}"]
    diary = await scene.follow(
        Change(act, (BROKEN,), "down", of=BROKEN, wanted=refuge),
        f"region {BROKEN} is stopped",
        lambda: scene.engine.stop(container),
        _moved(refuge),
    )
    scene.report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_losses(scene.report, act, diary, scene.bound(clients=1))
    own = _tracks()
    expect_none(
        scene.report,
        f"{act}: nobody but the client of {BROKEN} loses a request",
        [note for note in diary.lost if note.who not in own],
    )
    _expect_none_beyond(scene, act, diary)


async def act_started(scene: Scene) -> None:
    """The region is started again; its clients come home and nothing is lost."""
    container = scene.containers[f"web-{BROKEN}"]
    act = "recovery"
    diary = await scene.follow(
        Change(act, (BROKEN,), "up", of=BROKEN, wanted=BROKEN),
        f"region {BROKEN} is started again",
        lambda: scene.engine.start(container),
        homes(),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)


async def act_cut_off(scene: Scene) -> None:
    """The servers lose the way to a region that its clients still have; then it is mended."""
    network, refuge = scene.networks[BROKEN], next_nearest(BROKEN)
    places = [
        (scene.containers[server.net], scene.containers[server.net].attachment(network))
        for server in SERVERS
    ]
    cuts = [(container, place) for container, place in places if place is not None]

    async def cut() -> None:
        await asyncio.gather(*(scene.engine.disconnect(one, network) for one, _ in cuts))

    async def mend() -> None:
        await asyncio.gather(*(scene.engine.connect(one, place) for one, place in cuts))

    act = "cut off"
    diary = await scene.follow(
        Change(act, (BROKEN,), "down", of=BROKEN, wanted=refuge),
        f"{' and '.join(server.name for server in SERVERS)} are cut off from {BROKEN}",
        cut,
        _moved(refuge),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)
    act = "reconnection"
    diary = await scene.follow(
        Change(act, (BROKEN,), "up", of=BROKEN, wanted=BROKEN),
        f"they are connected to {BROKEN} again",
        mend,
        homes(),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)


async def act_everything_down(scene: Scene) -> None:
    """Every region is stopped: the last resort is served; then all are started again."""
    names = tuple(region.name for region in REGIONS)
    containers = [scene.containers[f"web-{name}"] for name in names]

    async def stop() -> None:
        await asyncio.gather(*(scene.engine.stop(one) for one in containers))

    async def start() -> None:
        await asyncio.gather(*(scene.engine.start(one) for one in containers))

    act = "everything down"
    diary = await scene.follow(
        Change(act, names, "down", of=BROKEN, wanted=SORRY),
        f"{', '.join(names)} are stopped: the last resort is the sorry page",
        stop,
        dict.fromkeys(homes(), SORRY),
    )
    scene.report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_losses(scene.report, act, diary, scene.bound(clients=len(DWELLERS)))
    _expect_none_beyond(scene, act, diary)
    act = "everything up"
    diary = await scene.follow(
        Change(act, names, "up", of=BROKEN, wanted=BROKEN),
        f"{', '.join(names)} are started again",
        start,
        homes(),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)


def _tracks() -> set[str]:
    return {who for who, region in homes().items() if region == BROKEN}


def _moved(refuge: str) -> dict[str, str]:
    """Where everybody is while the clients of the broken region are elsewhere."""
    return {who: refuge if region == BROKEN else region for who, region in homes().items()}


def _expect_none_beyond(scene: Scene, act: str, diary: Diary) -> None:
    """What the bound must not hide: no answer at all, and no page when it is over."""
    expect_none(
        scene.report,
        f"{act}: every question is answered",
        [note for note in diary.lost if not note.region],
    )
    last_s = max(diary.arrived_s.values(), default=0.0)
    expect_none(
        scene.report,
        f"{act}: no request is lost after the last client moved",
        [note for note in diary.lost if note.at_s > last_s],
    )

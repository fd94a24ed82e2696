"""The acts in which regions fail, one after the other until none is left, and come back.

Knows: what each act breaks, and who may lose what by it. Refuses to know: how it is broken and
watched. Invariant: from `act_stopped` to `act_all_back` every region goes down once and up once, so
that two drills in a row stay below flap damping (health.md); who is through with them leaves
everybody at home.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.change import TYPES, Change
from gslb.lab.diary import (
    Diary,
    expect_answers,
    expect_losses,
    expect_none,
    expect_none_once_moved,
    wait_for,
    wait_until,
)
from gslb.lab.engine import Container
from gslb.lab.metric import Sample, count_queries, count_verdicts
from gslb.lab.report import Report
from gslb.lab.scene import Scene
from gslb.lab.site import (
    DWELLERS,
    PARENT,
    RESOLVER,
    SERVERS,
    SORRY,
    ZONE,
    Server,
    places,
    refuge,
)
from gslb.lab.stub import AAAA, NOERROR, A, NameServer, NoAnswer, Patience, Question, exchange
from gslb.lab.world import NAME, REGIONS, LabError

PEACE_MAX_S: Final = 30.0
NS: Final = 2
# The region that is stopped, the one that is cut off, and the one that is stopped last.
STOPPED, CUT_OFF, LAST = (region.name for region in REGIONS)
MOST_CHANGES: Final = 3  # of a region in one drill; more than 6 in 10 min would be damped


async def await_peace(scene: Scene) -> None:
    """Waits until every client is at home, after a start. Raises LabError if that never comes."""
    diary = await scene.watch.open_diary(places())
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
    diary = await scene.watch.open_diary(places())
    began_s = report.mark(
        f"steady: {len(DWELLERS)} clients, IPv4 and IPv6, through Unbound; TTL {scene.ttl_s} s"
    )
    before = {server: await scene.watch.read_samples(server) for server in SERVERS}

    async def count(server: Server) -> float:
        return count_queries(await scene.watch.read_samples(server)) - count_queries(before[server])

    async def all_asked() -> bool:
        return all([await count(server) for server in SERVERS])

    await asyncio.sleep(scene.ttl_s + 1)  # each answer was asked for anew
    await wait_for(all_asked, scene.ttl_s + 1)  # the resolver chooses whom: perhaps one alone
    for server in SERVERS:
        asked = await count(server)
        report.expect(f"steady: the resolver asks {server.name}", asked > 0, f"{asked:.0f} queries")
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
    act = "failover"
    diary = await scene.follow(
        Change(act, (STOPPED,), "down", of=STOPPED, wanted=refuge(STOPPED, {STOPPED})),
        f"region {STOPPED} is stopped",
        lambda: scene.engine.stop(_web(scene, STOPPED)),
        places({STOPPED}),
    )
    scene.report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_losses(scene.report, act, diary, scene.bound(clients=1))
    own = {who for who, region in places().items() if region == STOPPED}
    expect_none(
        scene.report,
        f"{act}: nobody but the client of {STOPPED} loses a request",
        [note for note in diary.lost if note.who not in own],
    )
    _expect_none_beyond(scene, act, diary)


async def act_everything_down(scene: Scene) -> None:
    """The servers lose the way to another region, and the last one is stopped, at once.

    For the servers nothing is left, and without a witness (health.md, Blindness) they would have to
    take that for their own fault. Clients still have the region that is cut off.
    """
    network, act = scene.networks[CUT_OFF], "everything down"
    nets = [scene.containers[server.net] for server in SERVERS]

    async def cut_and_stop() -> None:
        await asyncio.gather(
            scene.engine.stop(_web(scene, LAST)),
            *(scene.engine.disconnect(net, network) for net in nets),
        )

    diary = await scene.follow(
        Change(act, (CUT_OFF, LAST), "down", of=LAST, wanted=SORRY),
        f"ns1 and ns2 are cut off from {CUT_OFF}, and {LAST} is stopped: the sorry page is left",
        cut_and_stop,
        places({STOPPED, CUT_OFF, LAST}),
    )
    scene.report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    # Everybody, for one verdict may come before the other and send all to what has failed as well.
    expect_losses(scene.report, act, diary, scene.bound(clients=len(DWELLERS)))
    expect_none(
        scene.report,
        f"{act}: no request to {CUT_OFF} is lost, which its clients can reach",
        [note for note in diary.lost if note.region == CUT_OFF],
    )
    _expect_none_beyond(scene, act, diary)


async def act_first_back(scene: Scene) -> None:
    """One region is started again: everybody leaves the sorry page for it."""
    act = "recovery"
    diary = await scene.follow(
        Change(act, (STOPPED,), "up", of=STOPPED, wanted=STOPPED),
        f"region {STOPPED} is started again, for everybody",
        lambda: scene.engine.start(_web(scene, STOPPED)),
        places({CUT_OFF, LAST}),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)


async def act_all_back(scene: Scene) -> None:
    """The others are connected and started again: everybody comes home."""
    network, act = scene.networks[CUT_OFF], "everything up"
    nets = [scene.containers[server.net] for server in SERVERS]
    cuts = [(net, place) for net in nets if (place := net.attachment(network)) is not None]

    async def mend() -> None:
        await asyncio.gather(
            scene.engine.start(_web(scene, LAST)),
            *(scene.engine.connect(net, place) for net, place in cuts),
        )

    diary = await scene.follow(
        # The one that is started takes longer than the one that only lacks a network.
        Change(act, (CUT_OFF, LAST), "up", of=LAST, wanted=LAST),
        f"{CUT_OFF} is connected and {LAST} started again",
        mend,
        places(),
    )
    expect_none(scene.report, f"{act}: no request is lost", diary.lost)


def expect_few_changes(report: Report, before: list[Sample], after: list[Sample]) -> None:
    """No address went down and up so often that a drill after this one would be damped."""
    counts = {
        region.name: sum(
            count_verdicts(after, region.name, to) - count_verdicts(before, region.name, to)
            for to in ("up", "down")
        )
        / len(TYPES)
        for region in REGIONS
    }
    report.expect(
        f"no region changes more than {MOST_CHANGES} times, so that the next drill is not damped",
        all(0 < count <= MOST_CHANGES for count in counts.values()),
        ", ".join(f"{name} {count:g}" for name, count in counts.items()),
    )


def _web(scene: Scene, region: str) -> Container:
    return scene.containers[f"web-{region}"]


def _expect_none_beyond(scene: Scene, act: str, diary: Diary) -> None:
    """What the bound must not hide: no answer at all, and no page when it is over."""
    expect_answers(scene.report, act, diary)
    expect_none_once_moved(scene.report, act, diary)

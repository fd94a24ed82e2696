"""The acts in which a name server fails, in containers: paused, misled, killed.

Knows: what each act does to ns1, and that clients must not notice. Refuses to know: what may be
wrong with a region meanwhile: that is told which ones take nobody.
Invariant: a kill reaches a process of the container that is meant, or none.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from gslb.lab.change import TYPES
from gslb.lab.diary import wait_for, wait_until
from gslb.lab.engine import Container
from gslb.lab.metric import count_queries, count_reloads, find_generation
from gslb.lab.report import Report
from gslb.lab.scene import Scene
from gslb.lab.site import SERVERS, page_address, places, refuge, subnet
from gslb.lab.stub import NoAnswer, Patience, Question, ask
from gslb.lab.vigil import Vigil, keep_vigil
from gslb.lab.world import NAME, REGIONS, LabError

BROKEN_ZONE: Final = Path("zones") / "broken-by-the-drill.zone"
BROKEN_TEXT: Final = """\
; Written by the drill, and taken away by it: a reload has to refuse it.
$ORIGIN broken.example.
@  300  SOA  ns1 hostmaster 1 7200 900 1209600 60
@  300  NS   ns1.example.net.
@  300  A    198.18.1.999
"""
PAUSES_TTL: Final = 2  # every cache asks anew so often while a server is silent
# A start that remembers nothing takes two seconds longer than one that does: it has to probe.
BACK_MAX_S: Final = 3.0
BACK_GIVE_UP_S: Final = 10.0
ON_ITS_WAY_S: Final = 0.1
RELOAD_MAX_S: Final = 15.0  # a child process loads everything; two cores may have other work
AFTERMATH_S: Final = 3.0
SILENCE: Final = Patience(tries=3, timeout_s=0.3)
# Every 20 ms, and longer than it may take, so that it is told how long it took.
PERSISTENT: Final = Patience(tries=500, timeout_s=0.02)
MISHAP, OTHER = SERVERS  # who suffers, and who answers meanwhile
WITNESS: Final = REGIONS[0].name  # whose clients' answer is looked at


async def act_paused(scene: Scene) -> None:
    """A server is frozen: its address is there and silent, the other one answers for both."""
    report, act = scene.report, "paused"
    container = scene.containers[MISHAP.name]
    diary = await scene.watch.open_diary(places())
    before = count_queries(await scene.watch.read_samples(OTHER))
    await scene.engine.pause(container)
    began_s = report.mark(f"{MISHAP.name} is paused for {PAUSES_TTL} TTLs")
    answered = True
    try:
        await ask(MISHAP.dns, Question(NAME), SILENCE)
    except NoAnswer:
        answered = False
    report.expect(f"{act}: {MISHAP.name} is silent", not answered)
    await asyncio.sleep(PAUSES_TTL * scene.ttl_s + 1)
    count = count_queries(await scene.watch.read_samples(OTHER)) - before
    report.expect(f"{act}: {OTHER.name} answers", count > 0, f"{count:.0f} queries")
    await scene.expect_quiet(act, diary, began_s)
    await scene.engine.unpause(container)
    began_s = report.mark(f"{MISHAP.name} is unpaused")
    expect_back(report, "unpaused", await await_back(scene, began_s))
    await asyncio.sleep(AFTERMATH_S)
    await scene.expect_quiet("unpaused", diary, began_s)


@dataclass(frozen=True, slots=True)
class Comeback:
    """How a server came back: what is wrong with it, "" for nothing; how soon it answered."""

    problem: str
    after_s: float = inf

    def __str__(self) -> str:
        return self.problem or f"{self.after_s:.2f} s"


async def await_back(scene: Scene, since_s: float) -> Comeback:
    """Asks every 20 ms until there are the right answers in both families."""
    for rrtype, name in TYPES.items():
        question = Question(NAME, rrtype, subnet=subnet(WITNESS))
        try:
            reply = await ask(MISHAP.dns, question, PERSISTENT)
        except NoAnswer as error:
            return Comeback(f"{name}: {error}")
        if reply.addresses != (page_address(WITNESS, rrtype),):
            return Comeback(f"{name}: {', '.join(reply.addresses) or 'nothing'}")
    return Comeback("", scene.report.mark(f"{MISHAP.name} answers") - since_s)


def expect_back(report: Report, act: str, comeback: Comeback) -> None:
    """The server answers soon, and rightly."""
    report.expect(
        f"{act}: {MISHAP.name} answers within {BACK_MAX_S:.0f} s, and rightly",
        not comeback.problem and comeback.after_s <= BACK_MAX_S,
        str(comeback),
    )


async def act_misled(scene: Scene, world: Path) -> None:
    """A reload with a broken zone file is refused and answers go on; without it, it is taken."""
    report, act = scene.report, "broken reload"
    path = world / BROKEN_ZONE
    diary = await scene.watch.open_diary(places())
    before = await scene.watch.read_samples(MISHAP)
    try:
        write_broken_zone(path)
        began_s = report.mark(f"{MISHAP.name} is to reload with a broken zone file")
        await scene.engine.signal(scene.containers[MISHAP.name], "HUP")
        refused = await _await_reloads(scene, "failed", count_reloads(before, "failed") + 1)
        after = await scene.watch.read_samples(MISHAP)
        report.expect(f"{act}: the reload is refused", refused)
        report.expect(
            f"{act}: the old state is kept",
            find_generation(after) == find_generation(before) is not None
            and count_reloads(after, "ok") == count_reloads(before, "ok"),
            f"generation {find_generation(after) or 0:.0f}",
        )
        expect_back(report, act, await await_back(scene, report.clock()))
        await asyncio.sleep(scene.ttl_s)
    finally:
        path.unlink(missing_ok=True)
    report.mark("the file is taken away")
    await scene.engine.signal(scene.containers[MISHAP.name], "HUP")
    taken = await _await_reloads(scene, "ok", count_reloads(before, "ok") + 1)
    report.expect(f"{act}: the mended files are taken over", taken)
    await asyncio.sleep(AFTERMATH_S)
    await scene.expect_quiet(act, diary, began_s)


async def _await_reloads(scene: Scene, result: str, count: float) -> bool:
    async def come() -> bool:
        try:
            samples = await scene.watch.read_samples(MISHAP)
        except LabError:
            return False
        return count_reloads(samples, result) == count

    return await wait_for(come, RELOAD_MAX_S)


def write_broken_zone(path: Path) -> None:
    """Writes the file, readable by a server that is not root. Raises LabError."""
    try:
        path.write_text(BROKEN_TEXT, encoding="utf-8")
        path.chmod(0o644)
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror}") from error


async def act_killed(scene: Scene, down: str) -> None:
    """A server's process is killed while a region is down: it remembers that, and is back at once.

    It is asked every 20 ms from the kill on: not one answer may send anybody to the dead region.
    """
    report, act = scene.report, "killed"
    diary = await scene.watch.open_diary(places({down}))
    victim = await scene.engine.inspect(scene.containers[MISHAP.name].id)
    if victim is None:
        raise LabError(f"{MISHAP.name} has been removed")
    async with keep_vigil(MISHAP.dns, down) as vigil:
        began_s = report.mark(
            f"{MISHAP.name} is killed (kill -9 {victim.pid}) while {down} is down"
        )
        if await kill(victim):
            comeback = await see_back(report, vigil, began_s)
        else:
            comeback = Comeback(f"process {victim.pid} has not ended")
        await asyncio.sleep(max(AFTERMATH_S, scene.ttl_s + 1))
    expect_back(report, act, comeback)
    expect_memory(report, act, vigil, down)
    now = await scene.engine.inspect(victim.id)
    restarts = 0 if now is None else now.restarts - victim.restarts
    report.expect(f"{act}: its policy has started it again, once", restarts == 1, f"{restarts}")
    await scene.expect_quiet(act, diary, began_s)


async def see_back(report: Report, vigil: Vigil, since_s: float) -> Comeback:
    """How soon after the kill there were answers in both families; whether they are right is
    another matter (`expect_memory`)."""
    # What was on its way when the process ended is no answer of the next one.
    new_s = report.clock() + ON_ITS_WAY_S
    await wait_until(lambda: vigil.first_s(new_s) is not None, BACK_GIVE_UP_S)
    first_s = vigil.first_s(new_s)
    if first_s is None:
        return Comeback(f"no answer in {BACK_GIVE_UP_S:.0f} s")
    return Comeback("", report.mark(f"{MISHAP.name} answers", first_s) - since_s)


def expect_memory(report: Report, act: str, vigil: Vigil, down: str) -> None:
    """No answer, before the kill or after it, knew less than that the region is down."""
    asked = f"{len(vigil.answers)} answers to {vigil.asked} questions"
    for what, wrong in (
        (f"{MISHAP.name} never sends anybody to {down}", vigil.find_sent_to({down})),
        (
            f"{MISHAP.name} sends everybody of {down} to {refuge(down, {down})}",
            vigil.find_other_than(refuge(down, {down})),
        ),
    ):
        detail = asked
        if wrong:
            told = ", ".join(wrong[0].addresses) or "nothing"
            detail = f"{len(wrong)} of {asked}; the first: {told}"
        report.expect(f"{act}: {what}", not wrong and vigil.answers != [], detail)


async def kill(container: Container) -> bool:
    """SIGKILL to its first process; True when that has ended. Raises LabError.

    Not by the engine: what it kills itself counts as stopped by hand and is not restarted. The
    number is the host's, so it is made sure that the process is the container's.
    """
    try:
        handle = os.pidfd_open(container.pid)
    except OSError as error:
        raise LabError(
            f"cannot see process {container.pid} of {container.service}: {error.strerror};"
            " the drill has to run with `pid: host`"
        ) from None
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        if container.id not in read_control_group(container.pid):
            raise LabError(
                f"process {container.pid} is not of {container.service}: the drill has to run"
                " with `pid: host`"
            )
        loop.add_reader(handle, ended.set)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return await wait_until(ended.is_set, BACK_MAX_S)
    except OSError as error:
        raise LabError(f"cannot kill {container.service}: {error.strerror}") from None
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def read_control_group(pid: int) -> str:
    """The control groups of a process; the engine names a container's by its id."""
    return Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")

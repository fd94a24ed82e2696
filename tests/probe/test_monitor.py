"""The monitor with real endpoints: settling, verdicts, reloads, limits, stopping."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings
from gslb.core.trail import TargetHealth
from gslb.probe.monitor import Monitor

from endpoint import ALLOWED, Endpoints, page, saying, silence

SETTINGS = ProbeSettings(allow=ALLOWED)
NEVER_S = 3600.0  # an interval in which nothing happens but settling
QUICK = Check("web", "http", 80, interval_s=0.02, timeout_s=1.0)
RARE = replace(QUICK, interval_s=NEVER_S)


class Audience:
    """Remembers what was published, and lets a test wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Target, TargetHealth]] = []
        self._news = asyncio.Event()

    def hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        assert changed
        self.told.extend(changed.items())
        self._news.set()

    def of(self, target: Target) -> list[tuple[State, float | None]]:
        """States and `flip_s` published of a target, in order."""
        return [(health.state, health.flip_s) for told, health in self.told if told == target]

    async def until(self, target: Target, state: State) -> None:
        """Wait until this is the latest state published of the target."""
        while not (said := self.of(target)) or said[-1][0] is not state:
            self._news.clear()
            await self._news.wait()


@pytest.fixture
def audience() -> Audience:
    return Audience()


@pytest.fixture
async def monitor(audience: Audience) -> AsyncIterator[Monitor]:
    made = Monitor(audience.hear, SETTINGS, settle_gap_s=0.01)
    yield made
    await made.stop()


def at(port: int) -> Target:
    return Target("web", "127.0.0.1", port)


async def test_every_change_on_the_way_down_and_up_is_published(
    endpoints: Endpoints, monitor: Monitor, audience: Audience
) -> None:
    replies = [page(200), *[page(503)] * 3, page(200)]
    target = at(await endpoints.open(saying(*replies)))
    await monitor.watch({"web": QUICK}, [target])
    monitor.start()
    await audience.until(target, State.DOWN)
    await audience.until(target, State.UP)
    step_s = QUICK.interval_s
    assert audience.of(target) == [
        (State.UP, None),
        (State.UP, 2 * step_s),
        (State.UP, step_s),
        (State.DOWN, None),
        (State.DOWN, step_s),
        (State.UP, None),
    ]
    transition = monitor.snapshot()[target].transition
    assert transition is not None
    assert transition.reasons == ("status 503",) * 3
    assert sum(monitor.lateness.counts) >= 5


async def test_settling_gives_a_verdict_on_everything_that_answers_or_refuses(
    endpoints: Endpoints, monitor: Monitor, audience: Audience, closed_port: int
) -> None:
    good = at(await endpoints.open(saying(page(200))))
    bad = at(await endpoints.open(saying(page(500))))
    dead = at(closed_port)
    await monitor.watch({"web": RARE}, [good, bad, dead])
    monitor.start()
    await monitor.settle(60.0)
    states = {target: health.state for target, health in monitor.health([good, bad, dead]).items()}
    assert states == {good: State.UP, bad: State.DOWN, dead: State.DOWN}
    assert monitor.probes == {("web", "ok"): 1, ("web", "failed"): 6}
    assert not any(monitor.lateness.counts)  # none of these was on the schedule
    assert {target for target, _ in audience.told} == {good, bad, dead}
    assert monitor.snapshot()[dead].evidence == ("connect refused",) * 3


async def test_settling_ends_at_its_limit_and_leaves_the_rest_unknown(
    endpoints: Endpoints, monitor: Monitor, audience: Audience
) -> None:
    good = at(await endpoints.open(saying(page(200))))
    mute = at(await endpoints.open(silence))
    await monitor.watch({"web": replace(RARE, timeout_s=NEVER_S)}, [good, mute])
    monitor.start()
    await monitor.settle(0.05)
    await audience.until(good, State.UP)
    assert monitor.health([mute])[mute] == TargetHealth(State.UNKNOWN, None, None)


async def test_settling_probes_only_what_has_no_verdict(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    known, new = [at(await endpoints.open(saying(page(200)))) for _ in range(2)]
    await monitor.watch({"web": RARE}, [known])
    monitor.start()
    await monitor.settle(60.0)
    await monitor.watch({"web": RARE}, [known, new])
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 2}
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 2}


async def test_settling_with_nothing_to_probe_returns_at_once(monitor: Monitor) -> None:
    await monitor.watch({}, [])
    monitor.start()
    await monitor.settle(NEVER_S)


async def test_targets_that_leave_while_settling_are_not_waited_for(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    mute = at(await endpoints.open(silence))
    await monitor.watch({"web": replace(RARE, timeout_s=NEVER_S)}, [mute])
    monitor.start()
    settling = asyncio.create_task(monitor.settle(NEVER_S))
    await asyncio.sleep(0)
    await monitor.watch({"web": RARE}, [])
    await settling
    assert monitor.snapshot() == {}


async def test_a_reload_keeps_the_trails_of_what_stays(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    stays, leaves, comes = [at(await endpoints.open(saying(page(200)))) for _ in range(3)]
    await monitor.watch({"web": RARE}, [stays, leaves])
    monitor.start()
    await monitor.settle(60.0)
    before = monitor.snapshot()[stays]
    await monitor.watch({"web": replace(RARE, fall=5)}, [stays, comes])
    after = monitor.snapshot()
    assert after.keys() == {stays, comes}
    assert after[stays] == before
    assert after[comes].state is State.UNKNOWN


async def test_targets_of_a_check_that_is_off_are_not_probed(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    target = at(await endpoints.open(saying(page(500))))
    await monitor.watch({"web": replace(QUICK, enabled=False)}, [target])
    monitor.start()
    await monitor.settle(60.0)
    assert monitor.snapshot() == {}
    assert not monitor.probes


async def test_what_may_be_probed_can_change_with_a_reload(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    target = at(await endpoints.open(saying(page(200))))
    await monitor.watch({"web": RARE}, [target], ProbeSettings())
    monitor.start()
    await monitor.settle(60.0)
    trail = monitor.snapshot()[target]
    assert trail.state is State.DOWN
    assert trail.evidence[0].startswith("not probed: 127.0.0.1 ")


async def test_no_more_probes_run_at_once_than_allowed_and_a_stuck_one_costs_its_slot_only(
    endpoints: Endpoints, audience: Audience
) -> None:
    talking, most = 0, 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talking, most
        talking += 1
        most = max(most, talking)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(page(200))
        talking -= 1

    stuck = at(await endpoints.open(silence))
    others = [at(await endpoints.open(handle)) for _ in range(30)]
    monitor = Monitor(audience.hear, replace(SETTINGS, concurrency=2))
    await monitor.watch({"web": replace(RARE, timeout_s=NEVER_S)}, [stuck, *others])
    monitor.start()
    settling = asyncio.create_task(monitor.settle(NEVER_S))
    for target in others:
        await audience.until(target, State.UP)
    assert not settling.done()
    assert most <= 2
    assert monitor.waits > 0
    assert monitor.health([stuck])[stuck].state is State.UNKNOWN
    settling.cancel()
    await monitor.stop()


async def test_our_own_shortage_leaves_the_trail_alone_and_is_said_once(
    endpoints: Endpoints,
    monitor: Monitor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = at(await endpoints.open(saying(page(200))))

    async def exhausted(*_: object) -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr("gslb.probe.http.connect", exhausted)
    await monitor.watch({"web": RARE}, [target])
    monitor.start()
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "error"): 3}
    assert monitor.health([target])[target] == TargetHealth(State.UNKNOWN, None, None)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("cannot probe, health stays as it is: ")


async def test_counters_tell_of_every_probe(endpoints: Endpoints, monitor: Monitor) -> None:
    targets = [at(await endpoints.open(saying(page(200)))) for _ in range(20)]
    await monitor.watch({"web": RARE}, targets)
    monitor.start()
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 20}
    assert sum(monitor.seconds["web"].counts) == 20
    assert monitor.seconds["web"].sum_s > 0


async def test_stopping_leaves_no_task_no_socket_and_no_word(
    endpoints: Endpoints, audience: Audience
) -> None:
    connected = asyncio.Semaphore(0)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.release()
        await silence(reader, writer)

    before = asyncio.all_tasks()
    descriptors = len(os.listdir("/proc/self/fd"))
    ports = [await endpoints.open(mute) for _ in range(3)]
    plain = replace(RARE, timeout_s=NEVER_S)
    checks = {"web": plain, "tls": replace(plain, name="tls", type="https", verify_tls=False)}
    monitor = Monitor(audience.hear, SETTINGS)
    targets = [Target(name, "127.0.0.1", port) for name in checks for port in ports]
    await monitor.watch(checks, targets)
    monitor.start()
    settling = asyncio.create_task(monitor.settle(NEVER_S))
    for _ in range(6):
        await connected.acquire()
    settling.cancel()
    await monitor.stop()
    await endpoints.close()
    await asyncio.wait([settling])
    assert asyncio.all_tasks() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert not audience.told


async def test_stopping_before_starting_and_twice_is_quiet(audience: Audience) -> None:
    monitor = Monitor(audience.hear, SETTINGS)
    await monitor.stop()
    monitor.start()
    await monitor.stop()
    await monitor.stop()

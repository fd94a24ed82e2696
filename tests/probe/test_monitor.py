"""The monitor with real endpoints: settling, verdicts, reloads, limits, stopping."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings
from gslb.core.trail import Result, TargetHealth, Trail
from gslb.probe.monitor import Monitor

from audience import NEVER_S, QUICK, RARE, SETTINGS, Audience, at
from endpoint import Endpoints, page, saying, silence
from leap import leap
from offspring import children


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
    target, other = [at(await endpoints.open(saying(page(200)))) for _ in range(2)]
    await monitor.watch({"web": RARE}, [other])
    monitor.start()
    await monitor.settle(60.0)
    await monitor.watch({"web": RARE}, [target, other], ProbeSettings())
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
    assert monitor.faults == {target: os.strerror(24)}
    monkeypatch.undo()
    await monitor.settle(60.0)
    assert monitor.health([target])[target].state is State.UP
    assert monitor.faults == {}


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


async def test_stopping_ends_who_looks_for_expressions_too(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    target = at(await endpoints.open(saying(page(200, b"ready"))))
    await monitor.watch({"web": replace(RARE, body_regex="^ready$")}, [target])
    before = children()
    monitor.start()
    await monitor.settle(60.0)
    assert monitor.health([target])[target].state is State.UP
    assert len(children()) > len(before)
    await monitor.stop()
    assert children() == before


async def test_stopping_before_starting_and_twice_is_quiet(audience: Audience) -> None:
    monitor = Monitor(audience.hear, SETTINGS)
    await monitor.stop()
    monitor.start()
    await monitor.stop()
    await monitor.stop()


async def test_calculated_checks_are_nothing_to_a_monitor(monitor: Monitor) -> None:
    await monitor.watch({"all": Check("all", "calculated", 0)}, [Target("all", "192.0.2.1", 0)])
    monitor.start()
    await monitor.settle(NEVER_S)
    assert not monitor.snapshot()


async def test_loads_and_certificates_are_kept_while_their_target_is_watched(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        Result(True, "", 0.01, 1.0, load=0.5, expires_at=9e9),
        Result(True, "", 0.01, 2.0),
        Result(False, "status 503", None, 3.0, load=0.75),
    ]
    told = asyncio.Event()

    async def attempt(check: Check, *_: object) -> Result:
        if results:
            return results.pop(0)
        told.set()  # what was said before has been heard
        return Result(True, "", 0.01, 4.0)

    monkeypatch.setattr("gslb.probe.monitor.attempt", attempt)
    target = at(80)
    await monitor.watch({"web": QUICK}, [target])
    monitor.start()
    await told.wait()
    assert monitor.loads == {target: (0.75, 3.0)}
    assert monitor.certificates == {target: 9e9}
    await monitor.watch({"web": QUICK}, [])
    assert not monitor.loads
    assert not monitor.certificates


# ---- in leaping time --------------------------------------------------------------------


class Script:
    """Endpoints that answer by a rule of time, and when they were asked."""

    def __init__(self, is_up: Callable[[Target, float], bool]) -> None:
        self.asked: dict[Target, list[float]] = defaultdict(list)
        self._is_up = is_up

    async def attempt(self, check: Check, target: Target, *_: object) -> Result:
        now = asyncio.get_running_loop().time()
        self.asked[target].append(now)
        ok = self._is_up(target, now)
        return Result(ok, "" if ok else "connect refused", 0.001 if ok else None, now)


def test_a_rapid_check_confirms_a_failure_a_second_later_until_it_is_down(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    rapid = Check("web", "tcp", 80, interval_s=10.0, fall=3, jitter=0.0, rapid=True)
    target, other = Target("web", "192.0.2.1", 80), Target("web", "192.0.2.2", 80)
    script = Script(lambda asked, now: asked == other or now < 50.0)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        monitor = Monitor(audience.hear, SETTINGS, clock=loop.time)
        monkeypatch.setattr("gslb.probe.monitor.attempt", script.attempt)
        await monitor.watch({"web": rapid}, [target, other])
        monitor.start()
        await asyncio.sleep(90.0)
        await monitor.stop()

    leap(story())
    asked = [at for at in script.asked[target] if at >= 50.0]
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(asked)]
    assert gaps[:2] == [1.0, 1.0]
    assert all(gap > 5.0 for gap in gaps[2:])  # down: on its grid again
    assert audience.of(target)[1:] == [(State.UP, 2.0), (State.UP, 1.0), (State.DOWN, None)]


def test_a_flapping_target_is_held_down_and_its_health_says_when_it_could_return(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("web", "tcp", 80, interval_s=5.0, fall=1, rise=1, jitter=0.0)
    target = Target("web", "192.0.2.1", 80)
    script = Script(lambda _, now: now > 60.0 or int(now / 5) % 2 == 0)
    monkeypatch.setattr("gslb.probe.monitor.attempt", script.attempt)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        monitor = Monitor(audience.hear, SETTINGS, clock=loop.time)
        await monitor.watch({"web": check}, [target])
        monitor.start()
        await asyncio.sleep(57.0)
        assert monitor.snapshot()[target].held
        await asyncio.sleep(50.0)
        trail = monitor.snapshot()[target]
        assert (trail.state, trail.held) == (State.UP, False)
        await monitor.stop()

    leap(story())
    assert [state for state, _ in audience.of(target)[:6]] == [State.UP, State.DOWN] * 3
    last = audience.of(target)[-5:]
    assert last == [*((State.DOWN, flip) for flip in (20.0, 15.0, 10.0, 5.0)), (State.UP, None)]


def test_a_report_is_a_verdict_and_silence_beyond_its_ttl_is_another(audience: Audience) -> None:
    job, other = Target("job", "192.0.2.1", 0), Target("job", "192.0.2.2", 0)
    known, ttl = Target("job", "192.0.2.3", 0), 90.0
    check = Check("job", "push", 0, fall=3, rise=2, ttl_s=ttl)

    async def story() -> None:
        now = asyncio.get_running_loop().time
        monitor = Monitor(audience.hear, SETTINGS, clock=now)
        monitor.remember({known: Trail(-10.0, State.UP)})
        await monitor.watch({"job": check}, [job, other, known])
        monitor.start()
        await monitor.settle(NEVER_S)  # nothing is probed
        for _ in range(50):
            monitor.report(job, Result(True, "", None, now()))
            await asyncio.sleep(1.0)
        assert audience.of(job) == [(State.UP, None)]
        monitor.report(job, Result(False, "reported down by backup", None, now()))
        monitor.report(job, Result(True, "", None, now()))
        monitor.report(Target("job", "192.0.2.9", 0), Result(True, "", None, now()))
        await asyncio.sleep(ttl - 50.0 + 0.1)
        trail = monitor.snapshot()[known]  # its ttl began with this process
        assert (trail.state, trail.evidence) == (State.DOWN, ("no report for 90 s",))
        assert monitor.snapshot()[job].state is State.UP
        await asyncio.sleep(ttl)
        assert monitor.snapshot()[job].state is State.DOWN
        assert monitor.snapshot()[other].state is State.UNKNOWN
        assert monitor.snapshot().keys() == {job, other, known}
        assert not monitor.probes
        await monitor.watch({"job": replace(check, type="http")}, [job])
        assert monitor.snapshot()[job].state is State.UNKNOWN  # another way of knowing
        await monitor.stop()

    leap(story())


def test_a_shorter_ttl_counts_from_the_last_report(audience: Audience) -> None:
    job = Target("job", "192.0.2.1", 0)
    check = Check("job", "push", 0, ttl_s=600.0)

    async def story() -> None:
        now = asyncio.get_running_loop().time
        monitor = Monitor(audience.hear, SETTINGS, clock=now)
        await monitor.watch({"job": check}, [job])
        monitor.start()
        monitor.report(job, Result(True, "", None, now()))
        await asyncio.sleep(30.0)
        await monitor.watch({"job": replace(check, ttl_s=60.0)}, [job])
        await asyncio.sleep(29.0)
        assert monitor.snapshot()[job].state is State.UP
        await asyncio.sleep(2.0)
        assert monitor.snapshot()[job].state is State.DOWN
        await asyncio.sleep(700.0)
        assert len(audience.of(job)) == 2
        await monitor.stop()

    leap(story())

"""Cut off, or is everything down? The whole monitor in leaping time, on a network that is made up.

What is real here is the order of things: who is asked when, which reply is still on its way when
the cable is pulled. tests/app/test_blindness.py does it once more with real cables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings, Witness
from gslb.core.trail import Result, TargetHealth
from gslb.probe.connection import Means
from gslb.probe.monitor import Monitor
from hypothesis import given, settings
from hypothesis import strategies as st

from leap import LeapingLoop, leap

WITNESS = Witness("tcp", "192.0.2.53", 53)
OTHER = Witness("tcp", "192.0.2.54", 53)
WEB = Check("web", "tcp", 80, interval_s=5.0, timeout_s=2.0, fall=3, rise=2)
RTT_S = 0.01
NOTICED_S = 0.02  # a reply that has arrived waits for a busy loop, maybe longer than the cable
SETTLED_S = 15.0  # when every story's accident happens, at the earliest


@dataclass
class Network:
    """Targets by data center; a target or a witness answers until it dies, if we are not cut."""

    centers: dict[Target, str]
    cut: tuple[float, float] = (inf, inf)
    died: dict[Target | Witness, float] = field(default_factory=dict)
    rtt_s: dict[Target | Witness, float] = field(default_factory=dict)
    is_loud: bool = False  # a cut is told at once ("no route"), not found by waiting
    asked: list[tuple[float, Target]] = field(default_factory=list)

    def _is_cut(self) -> bool:
        return self.cut[0] <= asyncio.get_running_loop().time() < self.cut[1]

    async def _answers(self, who: Target | Witness, timeout_s: float) -> Result:
        now = asyncio.get_running_loop().time
        was_cut = self._is_cut()
        if was_cut and self.is_loud:
            return Result(False, "no route", None, now())
        rtt_s = self.rtt_s.get(who, RTT_S)
        await asyncio.sleep(rtt_s)
        if was_cut or self._is_cut() or self.died.get(who, inf) <= now():
            await asyncio.sleep(timeout_s - rtt_s)
            return Result(False, f"timeout after {timeout_s} s", None, now())
        await asyncio.sleep(NOTICED_S)
        return Result(True, "", RTT_S, now())

    async def attempt(self, check: Check, target: Target, means: Means) -> Result:
        self.asked.append((asyncio.get_running_loop().time(), target))
        return await self._answers(target, check.timeout_s)

    async def probe_witness(self, witness: Witness, means: Means, timeout_s: float) -> Result:
        return await self._answers(witness, timeout_s)


class Story:
    """A monitor on a network, and everything that it ever published."""

    def __init__(
        self,
        network: Network,
        *,
        checks: Mapping[str, Check] | None = None,
        witness: tuple[Witness, ...] = (),
        remembered: Mapping[Target, tuple[State, float]] | None = None,
        concurrency: int = 512,
    ) -> None:
        self.network = network
        self.states: dict[Target, State] = dict.fromkeys(network.centers, State.UNKNOWN)
        self.states |= {target: state for target, (state, _) in (remembered or {}).items()}
        self.falls: list[tuple[float, Target]] = []
        self.most_at_once = 0
        self.defects = 0  # of whoever is told next
        self.blind: list[tuple[float, str]] = []
        self.now = asyncio.get_running_loop().time
        self.monitor = Monitor(
            self._hear,
            ProbeSettings(witness=witness, concurrency=concurrency),
            clock=self.now,
            datacenters_up=self._count,
            tell_blind=self._hear_blind,
        )
        self._checks = checks or {"web": WEB}
        self.monitor.remember(remembered or {})

    def _break(self) -> None:
        is_broken, self.defects = self.defects > 0, max(0, self.defects - 1)
        if is_broken:
            raise ValueError("a defect")

    def _hear_blind(self, why: str) -> None:
        self.blind.append((self.now(), why))
        self._break()

    def _hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        if not self.monitor.blind:
            self._break()
        self.most_at_once = max(self.most_at_once, len(changed))
        for target, health in changed.items():
            if health.state is State.DOWN and self.states[target] is not State.DOWN:
                self.falls.append((self.now(), target))
            self.states[target] = health.state

    def _count(self) -> int:
        centers = self.network.centers
        return len({centers[t] for t, state in self.states.items() if state is State.UP})

    async def begin(self) -> None:
        await self.monitor.watch(self._checks, self.network.centers)
        self.monitor.start()
        await self.monitor.settle(10.0)

    async def until(self, at: float) -> None:
        await asyncio.sleep(at - self.now())

    def those(self, state: State) -> set[Target]:
        return {target for target, each in self.states.items() if each is state}


def stop_for(seconds: float) -> None:
    """The process stands still, and its clock does not."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    loop.stand_still(seconds)


def world(*centers: int, check: str = "web") -> dict[Target, str]:
    """So many targets in each data center."""
    return {
        Target(check, f"10.{number}.{n // 250}.{n % 250}", 80): f"dc{number}"
        for number, count in enumerate(centers)
        for n in range(count)
    }


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes of the story that is told go to its network."""

    async def attempt(check: Check, target: Target, means: Means) -> Result:
        return await telling[0].attempt(check, target, means)

    async def probe_witness(witness: Witness, means: Means, timeout_s: float) -> Result:
        return await telling[0].probe_witness(witness, means, timeout_s)

    monkeypatch.setattr("gslb.probe.monitor.attempt", attempt)
    monkeypatch.setattr("gslb.probe.witness.probe_witness", probe_witness)


telling: list[Network] = []


def on(network: Network) -> Network:
    telling[:] = [network]
    return network


checks = st.builds(
    lambda interval_s, share, fall, rapid: replace(
        WEB, interval_s=interval_s, timeout_s=interval_s * share, fall=fall, rapid=rapid
    ),
    st.sampled_from([1.0, 5.0]),
    st.sampled_from([0.1, 0.4, 0.9]),
    st.integers(1, 4),
    st.booleans(),
)
few = settings(max_examples=30)  # each is a minute of a whole prober
sizes = st.lists(st.integers(1, 6), min_size=2, max_size=3)
witnesses = st.sampled_from([(), (WITNESS,), (WITNESS, OTHER)])


@few
@given(sizes, checks, witnesses, st.floats(0, 10), st.booleans())
def test_no_verdict_of_down_slips_out_whenever_we_are_cut_off(centers, check, witness, at, is_loud):
    cut = (SETTLED_S + at, SETTLED_S + at + 40.0)

    async def story() -> None:
        network = on(Network(world(*centers), cut=cut, is_loud=is_loud))
        told = Story(network, checks={"web": check}, witness=witness)
        await told.begin()
        await told.until(cut[1])
        assert not told.falls
        assert told.monitor.blind
        assert [bool(why) for _, why in told.blind] == [True]
        noticed_s = told.blind[0][0] - cut[0]
        assert noticed_s <= (2.1 if witness else 2.7 * check.interval_s + check.timeout_s + 1.1)
        assert all(health.flip_s is None for health in told.monitor.health(told.states).values())
        await told.until(cut[1] + 15.0)
        assert not told.falls
        assert not told.monitor.blind
        assert told.blind[-1][1] == ""
        await told.monitor.stop()

    leap(story())


@few
@given(sizes, checks, witnesses, st.floats(0, 10), st.booleans(), st.data())
def test_all_but_one_may_die_at_once_and_every_one_of_them_is_found_down(
    centers, check, witness, at, is_witness_dead, data
):
    targets = list(world(*centers))
    survivors = data.draw(st.sets(st.sampled_from(targets), min_size=1, max_size=3))
    dead = [target for target in targets if target not in survivors]
    died_at = SETTLED_S + at

    async def story() -> None:
        network = on(Network(world(*centers), died=dict.fromkeys(dead, died_at)))
        if is_witness_dead and len(witness) > 1:
            network.died[witness[0]] = 0.0
        told = Story(network, checks={"web": check}, witness=witness)
        await told.begin()
        await told.until(died_at)
        assert not told.falls
        # The survivor's next probe proves that we see, if nobody finds it out of turn.
        await told.until(died_at + (check.fall + 2) * (1.1 * check.interval_s + check.timeout_s))
        assert told.those(State.DOWN) == set(dead)
        assert told.those(State.UP) == survivors
        assert not told.blind
        await told.monitor.stop()

    leap(story())


def test_a_thousand_dead_and_one_alive_is_an_outage_and_takes_no_longer_than_an_interval() -> None:
    async def story() -> None:
        targets = list(world(500, 501))
        network = on(Network(world(500, 501), died=dict.fromkeys(targets[:-1], 40.0)))
        told = Story(network)
        await told.begin()
        await told.until(40.0)
        network.asked.clear()
        await told.until(40.0 + 4 * 5.5 + 2.0)
        assert told.those(State.UP) == {targets[-1]}
        assert not told.blind
        regular = 1001 * 26.0 / 5.0
        assert len(network.asked) < 1.1 * regular  # who is asked out of turn does not count
        await told.monitor.stop()

    leap(story())


def test_a_reply_that_came_before_the_cut_and_is_noticed_after_it_proves_nothing() -> None:
    async def story() -> None:
        network = on(Network(world(300, 300), cut=(13.0, inf), is_loud=True))
        told = Story(network, checks={"web": replace(WEB, interval_s=1.0, timeout_s=0.5, fall=1)})
        await told.begin()
        await told.until(13.5)
        assert not told.falls
        await told.until(17.0)
        assert not told.falls
        assert told.monitor.blind
        await told.monitor.stop()

    leap(story())


def test_everything_down_in_the_only_data_center_is_an_outage() -> None:
    async def story() -> None:
        network = on(Network(world(3), cut=(40.0, inf)))
        told = Story(network)
        await told.begin()
        await told.until(70.0)
        assert told.those(State.DOWN) == set(network.centers)
        assert not told.blind
        await told.monitor.stop()

    leap(story())


def test_with_a_witness_that_answers_everything_may_be_down() -> None:
    async def story() -> None:
        network = on(Network(world(2, 2)))
        network.died |= dict.fromkeys(network.centers, 40.0)
        told = Story(network, witness=(WITNESS, OTHER))
        network.died[OTHER] = 0.0
        await told.begin()
        await told.until(70.0)
        assert told.those(State.DOWN) == set(network.centers)
        assert not told.blind
        await told.monitor.stop()

    leap(story())


def test_while_every_witness_fails_nothing_changes_though_endpoints_answer() -> None:
    async def story() -> None:
        network = on(Network(world(2, 2)))
        first, *_ = network.centers
        network.died |= {WITNESS: 40.0, first: 50.0}
        told = Story(network, witness=(WITNESS,))
        await told.begin()
        await told.until(90.0)
        assert told.those(State.UP) == set(network.centers)
        assert (
            told.monitor.blind == "every witness fails: tcp://192.0.2.53:53 (timeout after 1.0 s)"
        )
        del network.died[WITNESS]
        await told.until(92.5)
        assert not told.monitor.blind
        assert not told.falls  # the run begins anew
        await told.until(120.0)
        assert told.those(State.DOWN) == {first}
        await told.monitor.stop()

    leap(story())


def test_a_start_that_nothing_answers_begins_with_everything_unknown() -> None:
    async def story() -> None:
        network = on(Network(world(2, 2), cut=(0.0, 60.0)))
        told = Story(network)
        await told.begin()
        assert told.now() <= 10.0
        assert told.those(State.UNKNOWN) == set(network.centers)
        # No data center was up, so this is no blindness: what goes on failing is down.
        await told.until(60.0)
        assert told.those(State.DOWN) == set(network.centers)
        assert min(at for at, _ in told.falls) > 10.0
        await told.until(75.0)
        assert told.those(State.UP) == set(network.centers)
        assert told.blind == []
        await told.monitor.stop()

    leap(story())


def test_a_start_without_an_answer_but_with_a_witness_finds_everything_down() -> None:
    async def story() -> None:
        network = on(Network(world(2)))
        network.died |= dict.fromkeys(network.centers, 0.0)
        told = Story(network, witness=(WITNESS,))
        await told.begin()
        assert told.those(State.DOWN) == set(network.centers)
        await told.monitor.stop()

    leap(story())


def test_what_is_remembered_stays_when_a_start_is_blind() -> None:
    async def story() -> None:
        network = on(Network(world(2, 2), cut=(0.0, inf)))
        up, down, other, _ = network.centers
        known = {up: (State.UP, -50.0), down: (State.DOWN, -60.0), other: (State.UP, -50.0)}
        told = Story(network, remembered=known)
        await told.begin()
        await told.until(60.0)
        assert told.monitor.blind
        assert (told.those(State.UP), told.those(State.DOWN)) == ({up, other}, {down})
        assert told.monitor.snapshot()[down].since == -60.0
        await told.monitor.stop()

    leap(story())


def test_a_report_counts_while_we_are_blind_and_silence_does_not() -> None:
    async def story() -> None:
        job = Target("job", "10.9.0.1", 0)
        batch = Check("job", "push", 0, ttl_s=20.0)
        network = on(Network({**world(1, 1), job: "dc9"}, cut=(40.0, 90.0)))
        told = Story(network, checks={"web": WEB, "job": batch})
        await told.begin()
        told.monitor.report(job, Result(True, "", None, told.now()))
        await told.until(39.0)
        assert told.states[job] is State.DOWN  # 20 s without a word, and we saw
        told.monitor.report(job, Result(True, "", None, told.now()))
        await told.until(85.0)
        assert told.monitor.blind
        assert told.states[job] is State.UP
        told.monitor.report(job, Result(False, "reported down", None, told.now()))
        told.monitor.report(job, Result(True, "", None, told.now()))
        assert told.monitor.snapshot()[job].state is State.UP
        await told.until(109.0)
        assert told.states[job] is State.UP  # its 20 s begin when we see again
        await told.until(130.0)
        assert told.states[job] is State.DOWN
        evidence = told.monitor.snapshot()[job].evidence
        assert evidence == ("no report for 20 s",)
        await told.monitor.stop()

    leap(story())


def test_other_witnesses_after_a_reload_end_what_the_old_ones_said() -> None:
    async def story() -> None:
        network = on(Network(world(1, 1)))
        network.died[WITNESS] = 40.0
        told = Story(network, witness=(WITNESS,))
        await told.begin()
        await told.until(45.0)
        assert told.monitor.blind
        other = ProbeSettings(witness=(OTHER,))
        await told.monitor.watch({"web": WEB}, network.centers, other)
        assert not told.monitor.blind
        await told.until(60.0)
        assert [bool(why) for _, why in told.blind] == [True, False]
        await told.monitor.stop()

    leap(story())


def test_too_few_slots_for_the_dead_make_verdicts_late_and_no_blindness() -> None:
    async def story() -> None:
        targets = list(world(100, 101))
        network = on(Network(world(100, 101), died=dict.fromkeys(targets[:-1], 40.0)))
        told = Story(network, concurrency=10)
        await told.begin()
        # 201 x 2 s in 10 slots: a round takes 40 s, much longer than a silence that is blindness.
        await told.until(40.0 + 3 * 40.2 + 10.0)
        assert told.blind == []
        assert told.those(State.DOWN) == set(targets[:-1])
        await told.monitor.stop()

    leap(story())


@few
@given(sizes, checks, witnesses, st.integers(1, 4), st.floats(0, 10), st.data())
def test_with_few_slots_a_cut_is_no_outage_and_an_outage_no_cut(
    centers, check, witness, slots, at, data
):
    targets = list(world(*centers))
    survivors = data.draw(st.sets(st.sampled_from(targets), max_size=2))
    round_s = max(check.interval_s, len(targets) * check.timeout_s / slots)
    at += 2 * SETTLED_S

    async def story() -> None:
        network = on(Network(world(*centers)))
        if survivors:
            network.died |= {target: at for target in targets if target not in survivors}
        else:
            network.cut = (at, inf)
        told = Story(network, checks={"web": check}, witness=witness, concurrency=slots)
        await told.begin()
        await told.until(at + (check.fall + 3) * (1.6 * round_s + check.timeout_s) + 10.0)
        assert told.those(State.UP) == (survivors or set(targets))
        assert bool(told.monitor.blind) is not bool(survivors)
        assert len(told.blind) == (not survivors)
        network.cut, network.died = (inf, inf), {}
        await told.until(told.now() + 4 * round_s + 10.0)
        assert told.those(State.UP) == set(targets)
        await told.monitor.stop()

    leap(story())


def test_with_a_single_slot_all_but_one_are_found_down_too() -> None:
    async def story() -> None:
        targets = list(world(4, 4))
        network = on(Network(world(4, 4), died=dict.fromkeys(targets[1:], 40.0)))
        told = Story(network, concurrency=1)
        await told.begin()
        await told.until(40.0 + 3 * 14.0 + 20.0)
        assert told.blind == []
        assert told.those(State.DOWN) == set(targets[1:])
        await told.monitor.stop()

    leap(story())


def test_the_only_one_alive_is_found_soon_among_many_that_are_seldom_probed() -> None:
    async def story() -> None:
        fast = replace(WEB, name="fast", interval_s=1.0, timeout_s=0.5)
        seldom = replace(WEB, name="seldom", interval_s=3600.0)
        quick, slow = world(2, 2, check="fast"), world(500, 500, check="seldom")
        alive = list(slow)[-1]
        network = on(Network(quick | slow))
        network.died |= {target: 40.0 for target in network.centers if target is not alive}
        told = Story(network, checks={"fast": fast, "seldom": seldom})
        await told.begin()
        await told.until(60.0)
        assert told.those(State.DOWN) >= set(quick)
        assert told.blind == []
        await told.monitor.stop()

    leap(story())


def test_a_slow_witness_proves_in_its_time_and_its_proofs_are_counted_in_portions() -> None:
    async def story() -> None:
        network = on(Network(world(1000, 1000), rtt_s={WITNESS: 0.8}))
        network.died |= dict.fromkeys(network.centers, 40.0)
        told = Story(network, witness=(WITNESS,), concurrency=2000)
        await told.begin()
        told.most_at_once = 0
        await told.until(40.0 + 4 * 5.5 + 2.0 + 2 * 0.8)
        assert told.those(State.DOWN) == set(network.centers)
        assert told.most_at_once < 300  # 640 fail in the 1.6 s that a proof takes at most
        await told.monitor.stop()

    leap(story())


def test_who_was_stopped_for_a_minute_has_not_been_blind() -> None:
    async def story() -> None:
        network = on(Network(world(20, 20)))
        dead, *_ = network.centers
        network.died[dead] = 20.0
        told = Story(network)
        await told.begin()
        await told.until(60.0)
        for _ in range(5):
            network.asked.clear()
            for _ in range(60):
                if dead not in {target for _, target in network.asked}:
                    await asyncio.sleep(0.1)
            stop_for(60.0)  # with the dead one's probe on its way
            await asyncio.sleep(20.0)
        assert told.blind == []
        assert told.those(State.DOWN) == {dead}
        await told.monitor.stop()

    leap(story())


@pytest.mark.parametrize("which", [0, 1])
def test_a_shorter_interval_after_a_reload_asks_for_no_answer_in_the_past(which: int) -> None:
    async def story() -> None:
        network = on(Network(world(1, 1)))
        dead = list(network.centers)[which]
        told = Story(network, checks={"web": replace(WEB, interval_s=3600.0)})
        await told.begin()
        await told.until(1000.0)
        network.died[dead] = 1000.0
        often = replace(WEB, interval_s=1.0, timeout_s=0.1)
        await told.monitor.watch({"web": often}, network.centers)
        await told.until(1010.0)
        assert told.blind == []
        assert told.those(State.DOWN) == {dead}
        await told.monitor.stop()

    leap(story())


def test_when_nothing_is_probed_any_more_blindness_ends_and_silence_counts() -> None:
    async def story() -> None:
        job = Target("job", "10.9.0.1", 0)
        both = {"web": WEB, "job": Check("job", "push", 0, ttl_s=20.0)}
        network = on(Network({**world(1, 1), job: "dc9"}, cut=(40.0, inf)))
        told = Story(network, checks=both)
        await told.begin()
        await told.until(60.0)
        assert told.monitor.blind
        told.monitor.report(job, Result(True, "", None, told.now()))
        await told.monitor.watch(both, [job])
        assert not told.monitor.blind
        await told.until(81.0)
        assert told.states[job] is State.DOWN
        await told.monitor.stop()

    leap(story())


def test_a_report_that_is_missed_in_a_silent_start_is_not_forgotten() -> None:
    async def story() -> None:
        job = Target("job", "10.9.0.1", 0)
        both = {"web": WEB, "job": Check("job", "push", 0, ttl_s=3.0)}
        network = on(Network({**world(2), job: "dc0"}, cut=(0.0, inf)))
        told = Story(network, checks=both, remembered={job: (State.UP, -9.0)})
        await told.begin()
        await told.until(60.0)
        assert told.states[job] is State.DOWN
        await told.monitor.stop()

    leap(story())


def test_a_verdict_that_could_not_be_published_is_published_a_moment_later() -> None:
    async def story() -> None:
        network = on(Network(world(1, 1)))
        told = Story(network)
        await told.begin()
        await told.until(40.0)
        network.died[next(iter(network.centers))] = 40.0
        told.defects = 30  # for half a minute
        await told.until(100.0)
        assert told.defects == 0
        assert told.those(State.DOWN) == network.died.keys()
        await told.monitor.stop()

    leap(story())


@pytest.mark.parametrize("witness", [(), (WITNESS,)])
def test_a_defect_of_who_is_told_that_we_are_blind_ends_no_probing(
    witness: tuple[Witness, ...],
) -> None:
    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        network = on(Network(world(2, 2), cut=(40.0, 80.0)))
        told = Story(network, witness=witness)
        await told.begin()
        for at in (60.0, 100.0):
            told.defects = 1
            await told.until(at)
        assert [bool(why) for _, why in told.blind] == [True, False]
        told.defects = 0
        network.died |= dict.fromkeys(list(network.centers)[:3], 100.0)
        await told.until(130.0)
        assert told.those(State.DOWN) == network.died.keys()
        await told.monitor.stop()

    leap(story())

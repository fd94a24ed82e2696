"""Cut off, or is everything down? The whole monitor in leaping time, on a network that is made up.

What is real here is the order of things: who is asked when, which reply is still on its way when
the cable is pulled. tests/app/test_blindness.py does it once more with real cables.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings, Witness
from gslb.core.trail import Result
from hypothesis import given
from hypothesis import strategies as st

from leap import leap
from story import (
    OTHER,
    SETTLED_S,
    WEB,
    WITNESS,
    Network,
    Story,
    checks,
    few,
    on,
    sizes,
    stop_for,
    witnesses,
    world,
)

pytestmark = pytest.mark.usefixtures("made_up")


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

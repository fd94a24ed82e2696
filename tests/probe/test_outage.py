"""Whatever is dead is found, however many and with however few slots, as long as one is alive."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from gslb.core.health import State
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
    witnesses,
    world,
)

pytestmark = pytest.mark.usefixtures("made_up")


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
        network = on(Network(world(500, 501), died=dict.fromkeys(targets[:-1], 20.0)))
        told = Story(network)
        await told.begin()
        await told.until(20.0)
        network.asked.clear()
        await told.until(20.0 + 4 * 5.5 + 2.0)
        assert told.those(State.UP) == {targets[-1]}
        assert not told.blind
        regular = 1001 * 26.0 / 5.0
        assert len(network.asked) < 1.1 * regular  # who is asked out of turn does not count
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


def test_dead_ones_that_fill_every_slot_at_the_start_do_not_hide_the_others() -> None:
    async def story() -> None:
        targets = list(world(30, 20))  # by name the dead ones come first: 4 slots, 10 s, 2 s each
        network = on(Network(world(30, 20), died=dict.fromkeys(targets[:30], 0.0)))
        told = Story(network, concurrency=4)
        await told.begin()
        assert told.those(State.UP)
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
        network.died |= dict.fromkeys(network.centers, 20.0)
        told = Story(network, witness=(WITNESS,), concurrency=2000)
        await told.begin()
        told.most_at_once = 0
        await told.until(20.0 + 4 * 5.5 + 2.0 + 2 * 0.8)
        assert told.those(State.DOWN) == set(network.centers)
        assert told.most_at_once < 300  # 640 fail in the 1.6 s that a proof takes at most
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

"""The ways that the draws of shedding pools can fall: the right ones, and a bounded number kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from gslb.core.decide import Choice, Offer, evaluate
from gslb.core.health import AddressHealth, Slot, State, all_unknown, with_addresses, with_shares
from gslb.core.policy import Child, Failover, Nearest, Policy, PoolNode, RoundRobin, Weighted
from gslb.core.table import uniform_table
from gslb.serve.ready import MOST_SHED, EngineDice, Ledger, Ready, Shedding, Steering
from hypothesis import given
from hypothesis import strategies as st

from loaded import SHED, branches, loaded_world, steering_of
from sample import NEAR, POOLS, endpoint, pool

THREE = branches("web-fra", "web-iad", "web-nrt")
LIST = Failover(200, THREE)
NODES = (
    LIST,
    Nearest(NEAR.id, THREE, (0, 0, 0)),
    Weighted(201, THREE, (3, 1, 0)),
    RoundRobin(202, THREE),
)


def remembered(ready: Ready) -> Iterator[Shedding]:
    if ready.shedding is not None:
        yield ready.shedding
        for below in ready.shedding.after.values():
            yield from remembered(below)


def many_pools(count: int, share: int):
    pools = tuple(pool(n, f"p{n}", endpoint(f"10.0.{n}.1"), shed=SHED) for n in range(count))
    tree = Weighted(1, tuple(Child(p.name, PoolNode(10 + p.index, p)) for p in pools), (1,) * count)
    health = with_shares(all_unknown(pools), dict.fromkeys(range(count), share))
    policy = Policy("p", tree, answers=1)
    return Steering(policy, uniform_table({}), pools, 30, 4, Ledger(lambda *_: None)), health


def test_however_many_combinations_there_are_a_bounded_number_is_remembered() -> None:
    steering, health = many_pools(8, 50)
    dice = EngineDice(Random(5))
    counts = Counter(
        steering.choose(steering.ready(0, health), health, dice).body.octets for _ in range(3000)
    )
    kept = sum(len(each.after) for each in remembered(steering.ready(0, health)))
    assert kept == MOST_SHED < 256
    assert len(counts) == 8
    for count in counts.values():
        assert count / 3000 == pytest.approx(1 / 8, abs=0.04)


def test_down_a_list_there_are_no_more_combinations_than_pools() -> None:
    world = loaded_world(LIST, {0: 50, 1: 50, 2: 50})
    steering, dice = steering_of(world), EngineDice(Random(5))
    ready = steering.ready(0, world.health)
    for _ in range(300):
        steering.choose(ready, world.health, dice)
    assert sum(len(each.after) for each in remembered(ready)) == 6  # kept or shed, at each


@pytest.mark.parametrize("moving", [0, 1, 2])
def test_shares_that_move_all_day_neither_fill_nor_empty_what_is_remembered(moving: int) -> None:
    """Whichever pool of the list it is: after a step what it touched is decided once, and kept."""
    world = loaded_world(LIST, {0: 50, 1: 50, 2: 50})
    steering, dice, health = steering_of(world), EngineDice(Random(5)), world.health
    for step in range(100):
        health = with_shares(health, {moving: 40 + step % 20})
        for _ in range(100):
            steering.choose(steering.ready(0, health), health, dice)
        ready = steering.ready(0, health)
        kept = [below for each in remembered(ready) for below in each.after.values()]
        assert len(kept) == 6
        for _ in range(20):
            steering.choose(ready, health, dice)
        again = [below for each in remembered(ready) for below in each.after.values()]
        assert all(new is old for new, old in zip(again, kept, strict=True))


# ---- the draw is the decision -------------------------------------------------------------


@given(
    st.sampled_from(NODES),
    st.lists(st.sampled_from([0, 40, 100]), min_size=3, max_size=3),
    st.sets(st.integers(0, 2), max_size=2),
    st.integers(1, 3),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3),
)
def test_drawing_pool_by_pool_is_drawing_all_at_once(node, shares, dead, take, points) -> None:
    """What the engine finds step by step is what `evaluate` says of the whole set."""
    slots = {Slot(number, index, 4): AddressHealth(State.DOWN) for number in dead
             for index in range(len(POOLS[number].endpoints))}  # fmt: skip
    treatment = {NEAR.id: (2, 0, 1)}
    world = loaded_world(node, dict(enumerate(shares)), uniform_table(treatment), take=take)
    health = with_addresses(world.health, slots)
    policy = world.plan.config.policies["split"]
    steering = steering_of(world)
    shed = frozenset(n for n in range(3) if points[n] * 100 >= shares[n])
    steering._sheds = lambda pool, health, dice: pool.index in shed  # type: ignore[method-assign]
    found = steering._after(steering.ready(0, health), health, EngineDice(Random(1))).outcome
    whole = evaluate(policy, treatment, 4, health, None, shed)
    assert (found.branch, found.rule) == (whole.branch, whole.rule)
    assert isinstance(found.branch, Offer | Choice)

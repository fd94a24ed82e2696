"""What explain tells of load, panic, ramps and drains that begin."""

from __future__ import annotations

from dataclasses import replace

from gslb.core.explain import Explanation, explain
from gslb.core.health import AddressHealth, Slot, State, with_addresses, with_ramps
from gslb.core.policy import Failover, PoolNode, Sticky
from gslb.core.shed import is_shed
from gslb.core.subject import parse_subject
from gslb.core.table import uniform_table
from gslb.core.world import World
from gslb.wire.name import from_text

from loaded import FRA, branches, loaded_world
from sample import APEX, endpoint, pool

LIST = Failover(200, branches("web-fra", "web-iad"))
DOWN = AddressHealth(State.DOWN)


def ask(world: World, client: str = "50.1.2.3", down: tuple[str, ...] = ()) -> Explanation:
    return explain(world, from_text(f"split.{APEX}"), 1, parse_subject(client), down)


def told(explanation: Explanation, kind: str) -> list[str]:
    return [step.text for step in explanation.steps if step.kind == kind]


def with_states(world: World, **states: AddressHealth) -> World:
    slots = {Slot(0, int(key[1:]), 4): state for key, state in states.items()}
    return World(world.plan, with_addresses(world.health, slots), 2)


def test_what_a_pool_sheds_is_told_beside_the_decision_without_shedding() -> None:
    explanation = ask(loaded_world(LIST, {0: 70, 1: 5}))
    assert told(explanation, "pool") == [
        "web-fra in fra: available, 2 of 2 up; sheds 30 % of its answers"
    ]
    assert told(explanation, "draw")[0] == (
        "web-fra sheds 30 % of the answers by load: drawn for each query; "
        "this is shown as if none were shed"
    )
    assert explanation.answer == ("192.0.2.10", "192.0.2.11")


def test_nothing_is_told_of_load_where_it_changes_nothing() -> None:
    for world in (loaded_world(LIST, {}), loaded_world(LIST, {1: 5})):
        explanation = ask(world)
        assert not any("shed" in step.text for step in explanation.steps)
    dead = ask(loaded_world(LIST, {0: 5}), down=("fra", "iad"))
    assert not any("by load" in step.text for step in dead.steps)


def test_under_sticky_what_this_client_gets_is_shown() -> None:
    tree = Sticky(201, branches("web-fra", "web-iad"), (1, 1), "p")
    world = loaded_world(tree, {0: 50, 1: 50}, uniform_table({}, (24, 56)))
    seen = set()
    for last in range(64):
        explanation = ask(world, f"10.1.{last}.7")
        shed = [is_shed(name, 50, bytes((10, 1, last))) for name in ("web-fra", "web-iad")]
        seen.add(tuple(shed))
        pools = told(explanation, "pool")[:2]
        assert ["because of its load" in text for text in pools] == shed
        if shed == [True, False]:
            assert explanation.answer == ("198.51.100.10",)
        if all(shed):
            assert "nothing remains: again, as if no pool shed" in told(explanation, "policy")
    assert len(seen) == 4


def test_panic_is_told() -> None:
    many = pool(0, "web-fra", *(endpoint(f"192.0.2.{n}") for n in (10, 11, 12)), panic=50)
    world = loaded_world(PoolNode(300, many), {})
    config = replace(world.plan.config, pools=(many, *world.plan.config.pools[1:]))
    first = replace(world.health.pools[0], ipv4=(AddressHealth(), DOWN, replace(DOWN, ramp=10)))
    health = replace(world.health, pools=(first, *world.health.pools[1:]))
    explanation = ask(World(replace(world.plan, config=config), health, 2))
    assert told(explanation, "pool") == [
        "web-fra: available, 1 of 3 up, panic: 3 are handed out; "
        "192.0.2.11 is down; 192.0.2.12 is down"
    ]
    assert len(explanation.answer) == 3


def test_a_ramp_is_told_with_the_shares_it_gives() -> None:
    world = loaded_world(LIST, {})
    health = with_ramps(world.health, {Slot(0, 1, 4): 25})
    explanation = ask(World(world.plan, health, 2))
    assert told(explanation, "pool")[0].endswith("; 192.0.2.11 is back, weight at 25 %")
    assert (
        "192.0.2.10 of web-fra 80.0%, 192.0.2.11 of web-fra 20.0%" in told(explanation, "draw")[0]
    )


def test_a_drain_that_begins_is_told_and_sets_the_ttl() -> None:
    world = with_states(loaded_world(LIST, {}), e1=AddressHealth(State.UP, leaving=True))
    explanation = ask(world)
    assert told(explanation, "pool")[0].endswith("; 192.0.2.11 is about to be drained")
    assert (explanation.ttl, told(explanation, "ttl")) == (
        7,
        ["7: ttl_min, because a drain begins"],
    )


def test_probes_that_are_imagined_to_fail_do_not_undo_an_operators_word() -> None:
    world = with_states(loaded_world(LIST, {}), e0=AddressHealth(State.UP, "up"))
    explanation = ask(world, down=("pool/web-fra",))
    assert explanation.answer == ("192.0.2.10",)
    assert "192.0.2.10 is forced up, probes say down" in told(explanation, "pool")[0]
    assert FRA.shed is not None

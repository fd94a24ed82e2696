"""Calculated checks: what they count, what they conclude, and what a change costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from gslb.core.calculated import Conclusion, conclude, dependents, links_of, settle
from gslb.core.check import Check, Member, Target
from gslb.core.formula import Formula, PoolOf
from gslb.core.health import AddressHealth, Health, Slot, State, all_unknown, with_addresses
from gslb.core.policy import Amount, Endpoint, Pool
from gslb.core.target import formulas_of, targets_of, with_verdicts
from gslb.core.trail import TargetHealth
from gslb.core.world import Plan
from hypothesis import given
from hypothesis import strategies as st

from sample import endpoint, make_world, pool

BASE = make_world().plan
UP, DOWN = TargetHealth(State.UP, None, 0.01), TargetHealth(State.DOWN, None, None)
UNKNOWN = TargetHealth(State.UNKNOWN, None, None)


def check(name: str, *, of: str = "", pools: str = "", **more: object) -> Check:
    """A tcp check, or one that counts checks and pools."""
    members = tuple(Member("check", each) for each in of.split())
    members += tuple(Member("pool", each) for each in pools.split())
    if not members:
        return Check(name, "tcp", more.pop("port", 80), **more)  # type: ignore[arg-type]
    return Check(name, "calculated", 0, of=members, **more)  # type: ignore[arg-type]


def planned(pools: tuple[Pool, ...], *checks: Check) -> Plan:
    config = replace(BASE.config, pools=pools, checks={each.name: each for each in checks})
    targets = targets_of(config)
    formulas = formulas_of(config, targets)
    return replace(
        BASE, config=config, targets=targets, formulas=formulas, links=links_of(formulas)
    )


class Story:
    """A plan whose verdicts change: what the server does with it, in small."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.verdicts: dict[Target, TargetHealth] = {}
        self.known: dict[Target, Conclusion] = {}
        self.health = all_unknown(plan.config.pools)
        self.settled: tuple[Target, ...] = ()
        self._settle(None, self.health)

    def say(self, verdicts: Mapping[Target, TargetHealth]) -> None:
        self.verdicts |= verdicts
        health = with_verdicts(self.health, self.plan.targets, verdicts)
        self._settle(self.health, health, tuple(verdicts))

    def set(self, addresses: Mapping[Slot, AddressHealth]) -> None:
        self._settle(self.health, with_addresses(self.health, addresses))

    def _settle(
        self, before: Health | None, health: Health, changed: tuple[Target, ...] = ()
    ) -> None:
        found = settle(self.plan, before, health, changed, self.verdicts.get, self.known)
        self.health = found.health
        self.known |= found.changed
        self.settled = tuple(found.changed)

    def state(self, target: Target) -> State:
        return self.known[target].health.state


ADDRESS = "192.0.2.1"
ALL = Target("all", ADDRESS, 0)
WEB, DB, DISK = (Target(name, ADDRESS, 80) for name in ("web", "db", "disk"))
ONE_POOL = (pool(0, "p", endpoint(ADDRESS), check="all"),)


def three(need: Amount, **more: object) -> Story:
    calculated = check("all", of="web db disk", need=need, **more)
    return Story(planned(ONE_POOL, calculated, check("web"), check("db"), check("disk")))


def test_as_many_as_needed_make_it_up_and_too_few_that_could_make_it_down() -> None:
    story = three(Amount(2))
    assert story.state(ALL) is State.UNKNOWN
    story.say({WEB: UP})
    assert story.state(ALL) is State.UNKNOWN
    story.say({DB: DOWN})
    assert story.state(ALL) is State.UNKNOWN
    story.say({DISK: DOWN})
    assert story.state(ALL) is State.DOWN
    assert story.known[ALL].why == "1 of 3 up, 2 needed: db down, disk down"
    assert story.health.pools[0].ipv4[0].state is State.DOWN
    story.say({DISK: UP})
    assert story.state(ALL) is State.UP
    assert story.known[ALL].why == "2 of 3 up, 2 needed: db down"


def test_a_share_rounds_up() -> None:
    story = three(Amount(60, percent=True))
    story.say({WEB: UP, DB: UP, DISK: DOWN})
    assert story.state(ALL) is State.UP
    story.say({DB: DOWN})
    assert story.state(ALL) is State.DOWN


def test_inverted_it_is_the_opposite_and_unknown_stays_unknown() -> None:
    story = three(Amount(1), invert=True)
    assert story.state(ALL) is State.UNKNOWN
    story.say({WEB: UP})
    assert story.state(ALL) is State.DOWN
    assert story.known[ALL].why.startswith("inverted: 1 of 3 up")
    story.say({WEB: DOWN, DB: DOWN, DISK: DOWN})
    assert story.state(ALL) is State.UP


def test_a_check_that_is_off_counts_as_unknown_for_ever() -> None:
    off = check("db", enabled=False)
    plan = planned(ONE_POOL, check("all", of="web db", need=Amount(2)), check("web"), off)
    assert DB not in plan.targets
    story = Story(plan)
    story.say({WEB: UP})
    assert story.state(ALL) is State.UNKNOWN
    story.say({WEB: DOWN})
    assert story.state(ALL) is State.DOWN


@pytest.mark.parametrize(
    ("states", "need", "flip_s"),
    [
        ("up:9 up up", 1, None),  # two others keep it up
        ("up:9 up down", 2, 9.0),
        ("up:9 up:4 up", 2, 9.0),  # both have to fail
        ("down:6 down:2 up", 2, 2.0),
        ("down:6 down:2 up", 3, 6.0),
        ("down:6 down up:3", 2, 6.0),  # that the third fails changes nothing
        ("unknown:7 up down", 2, 7.0),
        ("unknown:7 unknown down", 1, None),
    ],
)
def test_it_could_flip_when_as_many_members_as_matter_have(states, need, flip_s) -> None:
    story = three(Amount(need))
    verdicts = {}
    for target, text in zip((WEB, DB, DISK), states.split(), strict=True):
        state, _, flip = text.partition(":")
        verdicts[target] = TargetHealth(State[state.upper()], float(flip) if flip else None, None)
    story.say(verdicts)
    assert story.known[ALL].health.flip_s == flip_s
    assert story.health.pools[0].ipv4[0].flip_s == flip_s


def test_a_pool_counts_as_its_availability_for_the_family_overrides_included() -> None:
    pools = (
        pool(0, "p", endpoint(ADDRESS, "2001:db8::1"), check="all"),
        pool(1, "db", endpoint("192.0.2.2"), endpoint("2001:db8::2"), check="tcp"),
    )
    story = Story(planned(pools, check("all", pools="db"), check("tcp")))
    all6 = Target("all", "2001:db8::1", 0)
    story.say({Target("tcp", "192.0.2.2", 80): TargetHealth(State.UP, 8.0, None)})
    assert (story.state(ALL), story.known[ALL].health.flip_s) == (State.UP, 8.0)
    story.say({Target("tcp", "192.0.2.2", 80): DOWN})
    assert story.state(ALL) is State.DOWN
    assert story.known[ALL].why == "0 of 1 up, 1 needed: pool db unavailable"
    assert story.state(all6) is State.UP
    story.set({Slot(1, 0, 4): AddressHealth(State.DOWN, "up")})
    assert story.state(ALL) is State.UP
    story.set({Slot(1, 1, 6): AddressHealth(State.UP, "drain")})
    assert story.state(all6) is State.DOWN


def test_calculated_checks_follow_from_each_other_also_through_pools() -> None:
    pools = (
        pool(0, "front", endpoint(ADDRESS), check="outer"),
        pool(1, "back", endpoint("192.0.2.2"), check="inner"),
    )
    outer = check("outer", of="web middle", need=Amount(2))
    story = Story(
        planned(
            pools,
            outer,
            check("middle", pools="back"),
            check("inner", of="db disk"),
            check("web"),
            check("db"),
            check("disk", port=9),
        )
    )
    front = Target("outer", ADDRESS, 0)
    db, disk = Target("db", "192.0.2.2", 80), Target("disk", "192.0.2.2", 9)
    story.say({WEB: UP, db: UP, disk: UP})
    assert story.state(front) is State.UP
    story.say({db: DOWN})
    assert story.settled == (Target("inner", "192.0.2.2", 0),)  # its reason alone
    story.say({disk: DOWN})
    assert story.settled == (
        Target("inner", "192.0.2.2", 0),
        Target("middle", ADDRESS, 0),
        front,
    )
    assert story.known[front].why == "1 of 2 up, 2 needed: middle down"
    assert story.health.pools[0].ipv4[0].state is State.DOWN


def test_checks_that_count_each_other_in_a_circle_are_refused() -> None:
    pools = (pool(0, "p", endpoint(ADDRESS), check="all"),)
    with pytest.raises(ValueError, match="cycle"):
        planned(pools, check("all", pools="p"))


def test_a_reload_settles_everything_on_the_health_of_the_new_plan() -> None:
    story = three(Amount(2))
    story.say({WEB: UP, DB: DOWN, DISK: DOWN})
    fresh = all_unknown(story.plan.config.pools)
    again = settle(story.plan, None, fresh, (), story.verdicts.get, story.known)
    assert not again.changed  # nothing to tell
    assert again.health.pools[0].ipv4[0].state is State.DOWN


def test_one_verdict_among_ten_thousand_settles_those_that_count_it() -> None:
    endpoints = [endpoint(f"10.0.{n // 250}.{n % 250}") for n in range(10_000)]
    pools = (pool(0, "p", *endpoints, check="all"),)
    plan = planned(pools, check("all", of="web db"), check("web"), check("db"))
    assert len(plan.formulas) == 10_000
    asked: list[Target] = []

    def verdict(target: Target) -> TargetHealth:
        asked.append(target)
        return DOWN

    health = all_unknown(pools)
    web = Target("web", "10.0.3.7", 80)
    found = settle(plan, health, health, (web,), verdict, {})
    assert list(found.changed) == [Target("all", "10.0.3.7", 0)]
    assert asked == [web, Target("db", "10.0.3.7", 80)]
    assert dependents(plan, (web,)) == (Target("all", "10.0.3.7", 0),)


@given(st.lists(st.sampled_from([UP, DOWN, UNKNOWN]), min_size=1, max_size=8), st.integers(1, 8))
def test_the_verdict_is_certain_only_when_nothing_unknown_could_change_it(states, need) -> None:
    names = [f"c{n}" for n in range(len(states))]
    need = min(need, len(states))
    plan = planned(
        ONE_POOL,
        check("all", of=" ".join(names), need=Amount(need)),
        *(check(name) for name in names),
    )
    story = Story(plan)
    story.say({Target(n, ADDRESS, 80): state for n, state in zip(names, states, strict=True)})
    best = sum(state is not DOWN for state in states) >= need
    worst = sum(state is UP for state in states) >= need
    expected = State.UNKNOWN if best != worst else State.UP if best else State.DOWN
    assert story.state(ALL) is expected


def test_the_trail_of_a_calculated_target_tells_why() -> None:
    up = conclude(None, Conclusion(UP, "2 of 2 up, 1 needed"), 1.0)
    assert (up.state, up.since, up.evidence) == (State.UP, 1.0, ())
    down = conclude(up, Conclusion(DOWN, "0 of 2 up, 1 needed: web down, db down"), 2.0)
    assert down.transition is not None
    assert (down.transition.before, down.transition.after) == (State.UP, State.DOWN)
    assert down.transition.reasons == ("0 of 2 up, 1 needed: web down, db down",)
    later = conclude(down, Conclusion(DOWN, "0 of 2 up, 1 needed: web down, db unknown"), 3.0)
    assert (later.since, later.transition) == (2.0, down.transition)
    assert later.evidence == ("0 of 2 up, 1 needed: web down, db unknown",)


def test_the_first_conclusion_of_unknown_is_no_transition() -> None:
    trail = conclude(None, Conclusion(UNKNOWN, "0 of 1 up, 1 needed: web unknown"), 1.0)
    assert (trail.state, trail.transition) == (State.UNKNOWN, None)


# ---- which targets ------------------------------------------------------------------------


def test_a_member_is_checked_at_the_same_address_on_its_own_port_or_the_endpoints() -> None:
    members = (
        check("named", port=8443, names_port=True),
        check("usual", port=80),
        Check("ping", "icmp", 0),
        Check("told", "push", 0),
    )
    calculated = check("all", of="named usual ping told")
    pools = (
        pool(0, "p", Endpoint("e", b"\1\2\3\4", None, 1, "127.0.0.1", 8080), check="all"),
        pool(1, "q", endpoint("192.0.2.9"), check="all"),
        pool(2, "direct", endpoint("192.0.2.9"), check="usual"),
    )
    plan = planned(pools, calculated, *members)
    assert plan.targets == {
        Target("all", "127.0.0.1", 8080): (Slot(0, 0, 4),),
        Target("named", "127.0.0.1", 8443): (),
        Target("usual", "127.0.0.1", 8080): (),
        Target("ping", "127.0.0.1", 0): (),
        Target("told", "127.0.0.1", 0): (),
        Target("all", "192.0.2.9", 0): (Slot(1, 0, 4),),
        Target("named", "192.0.2.9", 8443): (),
        Target("usual", "192.0.2.9", 80): (Slot(2, 0, 4),),
        Target("ping", "192.0.2.9", 0): (),
        Target("told", "192.0.2.9", 0): (),
    }
    assert {t: f.members for t, f in plan.formulas.items()} == {
        target: tuple(
            Target(name, target.address, port)
            for name, port in zip(
                ("named", "usual", "ping", "told"), (8443, target.port or 80, 0, 0), strict=True
            )
        )
        for target in (Target("all", "127.0.0.1", 8080), Target("all", "192.0.2.9", 0))
    }


def test_a_formula_ranks_above_what_it_counts() -> None:
    plan = planned(
        ONE_POOL,
        check("all", of="inner web"),
        check("inner", of="web db"),
        *map(check, ("web", "db")),
    )
    inner = Target("inner", ADDRESS, 0)
    assert list(plan.formulas) == [inner, ALL]
    assert plan.formulas[inner].place < plan.formulas[ALL].place
    assert plan.formulas[ALL] == Formula(plan.formulas[ALL].place, (inner, WEB), 1)
    assert plan.links.targets[WEB] == (inner, ALL)


def test_a_pool_member_is_of_the_family_of_the_address_that_is_checked() -> None:
    pools = (
        pool(0, "p", Endpoint("e", b"\1\2\3\4", None, 1, "2001:db8::9", None), check="all"),
        pool(1, "db", endpoint("192.0.2.2")),
    )
    plan = planned(pools, check("all", pools="db"))
    assert plan.formulas[Target("all", "2001:db8::9", 0)].members == (PoolOf(1, 6),)
    assert plan.links.pools == {1: (Target("all", "2001:db8::9", 0),)}

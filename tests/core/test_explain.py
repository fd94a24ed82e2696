"""What an operator is told at three in the morning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import dns.edns
import dns.message
import pytest
from gslb.core.client import NOWHERE, ClientGroup, Element, Kind, Location, Network
from gslb.core.explain import Explanation, explain
from gslb.core.health import AddressHealth, Slot, State, with_addresses
from gslb.core.policy import (
    Child,
    Failover,
    Nearest,
    Node,
    Policy,
    Pool,
    PoolNode,
    RoundRobin,
    Sticky,
    Weighted,
)
from gslb.core.setting import Settings
from gslb.core.subject import parse_subject
from gslb.core.table import PolicyTable, uniform_table
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from gslb.wire.name import from_text
from gslb.wire.rrtype import type_number

from sample import (
    APEX,
    BY_NAME,
    GATE,
    LEAVES,
    LIST,
    NEAR,
    POOLS,
    children,
    endpoint,
    make_world,
    pool,
)

LONDON = Location("EU", "GB", ("GB-ENG",), (51.5, -0.1), 64500)
DOWN = AddressHealth(State.DOWN)


def ask(
    name: str,
    rrtype: str = "A",
    client: str = "50.1.2.3",
    world: World | None = None,
    down: tuple[str, ...] = (),
    location: Location = NOWHERE,
) -> Explanation:
    number = type_number(rrtype)
    assert number is not None
    where = f"{name}.{APEX}".lstrip(".") if not name.endswith(".") else name
    return explain(
        world or make_world(),
        from_text(where),
        number,
        parse_subject(client),
        down,
        lambda _: location,
    )


def told(explanation: Explanation, kind: str) -> list[str]:
    return [step.text for step in explanation.steps if step.kind == kind]


def steered(
    node: Node,
    table: PolicyTable | None = None,
    treatment: Mapping[int, tuple[int, ...]] | None = None,
    **options: object,
) -> World:
    """The sample with `split` (TTL 30) decided by a node."""
    world = make_world(extra=[Policy("split", node, **options)])  # type: ignore[arg-type]
    table = table or uniform_table(dict(treatment or {}))
    plan = replace(world.plan, tables={**world.plan.tables, "split": table})
    return World(plan, world.health, 1)


def with_groups(world: World, *groups: ClientGroup) -> World:
    named = {group.name: group for group in groups}
    config = replace(world.plan.config, clients={**world.plan.config.clients, **named})
    return World(replace(world.plan, config=config), world.health, 1)


def test_the_body_is_what_the_manual_says() -> None:
    body = ask("www").body()
    assert list(body) == ["name", "type", "rcode", "answer", "ttl", "scope", "steps"]
    assert (body["name"], body["type"], body["rcode"]) == (f"www.{APEX}", "A", "NOERROR")
    assert (body["answer"], body["ttl"], body["scope"]) == (["192.0.2.10", "192.0.2.11"], 30, 3)
    steps = body["steps"]
    assert isinstance(steps, list)
    assert all(list(step) == ["depth", "kind", "text"] for step in steps)


def test_every_step_of_a_steered_name_is_told_in_order() -> None:
    explanation = ask("www", location=LONDON, down=("fra",))
    assert [(step.depth, step.kind, step.text) for step in explanation.steps] == [
        (0, "health", "as if the probes of fra failed"),
        (0, "zone", f'www.{APEX} in zone {APEX} is steered by policy "web", TTL 30'),
        (0, "client", "50.1.2.3: EU GB GB-ENG at 51.50,-0.10 AS64500"),
        (0, "policy", 'policy "web"'),
        (1, "nearest", "web-fra 636 km, web-iad 5920 km, web-nrt 9576 km"),
        (
            2,
            "pool",
            "web-fra in fra: unavailable, 0 of 2 up; 192.0.2.10 is down; 192.0.2.11 is down",
        ),
        (2, "pool", "web-iad in iad: available, 1 of 1 up"),
        (0, "endpoint", "198.51.100.10 from pool web-iad in iad, 5920 km away"),
        (0, "ttl", "30: the record's"),
        (0, "scope", "/3: every client in 32.0.0.0/3 is treated alike"),
    ]


# ---- names ------------------------------------------------------------------------------


def test_aliases_are_followed_to_a_steered_name() -> None:
    explanation = ask("towww")
    assert explanation.answer == ask("www").answer
    assert (explanation.ttl, explanation.scope) == (30, 3)
    assert told(explanation, "alias") == [f"towww.{APEX} is an alias of www.{APEX}, TTL 300"]


def test_aliases_are_followed_to_static_records() -> None:
    explanation = ask("alias2")
    assert explanation.answer == ("192.0.2.77",)
    assert len(told(explanation, "alias")) == 2


def test_an_alias_of_nothing_is_told_with_the_name_that_is_missing() -> None:
    explanation = ask("dangling")
    assert (explanation.rcode, explanation.answer, explanation.ttl) == ("NXDOMAIN", (), 60)
    assert told(explanation, "zone") == [
        f"NXDOMAIN: nothing.{APEX} does not exist (zone {APEX})",
    ]
    assert len(told(explanation, "alias")) == 1


def test_an_alias_that_leaves_the_server_is_the_answer() -> None:
    explanation = ask("outside")
    assert explanation.answer == ("CNAME www.example.net.",)
    assert told(explanation, "zone") == ["www.example.net. is not held by this server"]


def test_aliases_that_go_round_are_told_once() -> None:
    explanation = ask("loop1")
    assert len(told(explanation, "alias")) == 2
    assert told(explanation, "zone") == [f"loop1.{APEX} is where the aliases go round"]


def test_a_question_for_the_alias_itself_is_not_followed() -> None:
    explanation = ask("towww", "CNAME")
    assert explanation.answer == (f"www.{APEX}",)
    assert told(explanation, "alias") == []


@pytest.mark.parametrize(
    ("name", "rrtype", "rcode", "ttl", "scope", "text"),
    [
        ("nope", "A", "NXDOMAIN", 60, 0, f"NXDOMAIN: nope.{APEX} does not exist (zone {APEX})"),
        ("www", "MX", "NOERROR", 60, 0, f"NODATA: www.{APEX} has no MX (zone {APEX})"),
        ("ent", "A", "NOERROR", 60, 0, f"NODATA: ent.{APEX} has no A (zone {APEX})"),
        ("example.net.", "A", "REFUSED", None, None, "REFUSED: no zone of this server holds "),
        ("x.sub", "A", "NOERROR", None, 0, f"a referral: sub.{APEX} is delegated to ns.sub."),
        ("ns1", "A", "NOERROR", 300, 0, "static records, TTL 300"),
        ("x.wild", "A", "NOERROR", 300, 0, "static records, TTL 300"),
        ("x.img", "A", "NOERROR", 60, 3, f"*.img.{APEX} in zone {APEX} is steered by policy "),
    ],
)
def test_what_a_zone_says_is_told(name, rrtype, rcode, ttl, scope, text) -> None:
    explanation = ask(name, rrtype)
    assert (explanation.rcode, explanation.ttl, explanation.scope) == (rcode, ttl, scope)
    assert told(explanation, "zone")[0].startswith(text)


def test_a_family_that_the_policy_lacks_is_nodata_for_as_long_as_the_soa_says() -> None:
    explanation = ask("four", "AAAA")
    assert (explanation.rcode, explanation.answer) == ("NOERROR", ())
    assert (explanation.ttl, explanation.scope) == (60, 0)
    assert "no pool of the policy has an IPv6 address: NODATA" in told(explanation, "policy")


# ---- nodes ------------------------------------------------------------------------------


def test_a_route_tells_by_what_its_group_matched() -> None:
    wide = Element(Kind.NETWORK, network=Network(4, 50 << 24, 8))
    narrow = Element(Kind.NETWORK, network=Network(4, (50 << 24) + (1 << 16), 16))
    office = ClientGroup("office", (wide, Element(Kind.COUNTRY, "GB"), narrow))
    world = with_groups(make_world(), office)
    table = replace(uniform_table({100: (0, 1, 2), 103: (0, 2)}))
    plan = replace(world.plan, tables={**world.plan.tables, "api": table})
    world = World(plan, world.health, 1)
    explanation = ask("api", world=world, down=("fra",), location=LONDON)
    assert told(explanation, "routes") == [
        "from office (50.1.0.0/16): to web-fra, fence",
        "fence: the decision ends here",
    ]
    assert told(explanation, "client")[0].endswith("; client groups: office (50.1.0.0/16)")
    elsewhere = ask("api", world=world, client="60.1.1.1", location=LONDON)
    assert told(elsewhere, "routes")[0] == "from office (country GB): to web-fra, fence"


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (Element(Kind.CONTINENT, "EU"), "continent EU"),
        (Element(Kind.SUBDIVISION, "GB-ENG"), "subdivision GB-ENG"),
        (Element(Kind.ASN, asn=64500), "AS64500"),
        (Element(Kind.NETWORK, network=Network(6, 0x20010DB8 << 32, 32)), "2001:db8::/32"),
    ],
)
def test_each_kind_of_element_has_a_name(element, text) -> None:
    world = with_groups(make_world(), ClientGroup("dach", (element,)))
    explanation = ask("api", world=world, client="2001:db8::1", location=LONDON)
    assert f"from dach ({text}): to web-fra" in told(explanation, "routes")


def test_nearest_tells_bias_reach_and_what_has_no_place() -> None:
    near = Nearest(300, children("sorry", "web-fra", "web-iad", "web-nrt"), (0, -50, 50, 0), 6000.0)
    explanation = ask(
        "split", world=steered(near, treatment={300: (1, 2, 0)}), location=replace(LONDON, asn=0)
    )
    assert told(explanation, "nearest") == [
        "web-fra 636 km (bias -50: as 1271 km), web-iad 5920 km (bias 50: as 2960 km), "
        "sorry without coordinates; beyond 6000 km: web-nrt 9576 km"
    ]


def test_nearest_says_when_the_place_is_unknown_or_nobody_is_in_reach() -> None:
    near = Nearest(300, children("web-nrt", "web-fra"), (0, 0), 100.0)
    world = steered(near, treatment={300: (0, 1)})
    assert told(ask("split", world=world), "nearest") == [
        "location unknown, so in the configured order: web-nrt, web-fra"
    ]
    lonely = ask("split", world=steered(near, treatment={300: ()}), location=LONDON)
    assert told(lonely, "nearest")[0] == (
        "no child in reach; beyond 100 km: web-nrt 9576 km, web-fra 636 km"
    )
    assert told(lonely, "policy")[-1].startswith("last resort: the first pool that has an address")


def test_nearest_says_when_the_order_is_not_that_of_the_very_address() -> None:
    near = Nearest(300, children("web-fra", "web-iad"), (0, 0))
    world = steered(near, treatment={300: (1, 0)})
    assert told(ask("split", world=world, location=LONDON), "nearest") == [
        "web-iad 5920 km, web-fra 636 km; "
        "the order is that of most of the network around the client"
    ]


def test_the_order_beyond_the_fourth_child_is_explained() -> None:
    five = tuple(Child(f"p{n}", PoolNode(400 + n, POOLS[n % 3])) for n in range(5))
    near = Nearest(300, five, (0,) * 5)
    explanation = ask("split", world=steered(near, treatment={300: (0, 3, 1, 4, 2)}))
    assert "from the fifth on" not in told(explanation, "nearest")[0]  # no place: configured order
    placed = ask("split", world=steered(near, treatment={300: (0, 3, 1, 4, 2)}), location=LONDON)
    assert told(placed, "nearest")[0].endswith("; from the fifth on by the distance from p0")


def test_branches_without_a_name_are_told_by_their_pools() -> None:
    near = Nearest(300, (Child("failover", LIST), Child("web-nrt", LEAVES["web-nrt"])), (0, 0))
    explanation = ask("split", world=steered(near, treatment={300: (0, 1)}), location=LONDON)
    assert told(explanation, "nearest") == ["[web-fra, web-iad] 636 km, web-nrt 9576 km"]


def test_a_policy_inside_a_policy_is_named() -> None:
    tree = Failover(300, (Child("list", LIST), Child("web", NEAR)))
    world = steered(tree, treatment={100: (0, 1, 2)})
    explanation = ask("split", world=world, down=("web-fra", "web-iad"), location=LONDON)
    assert told(explanation, "failover") == [
        "in this order: list, web",
        "(policy list) in this order: web-fra, web-iad",
    ]
    assert told(explanation, "nearest")[0].startswith("(policy web) web-fra 636 km")


def test_what_was_told_before_is_not_told_again() -> None:
    tree = Failover(300, (Child("list", LIST), Child("list", LIST), Child("s", LEAVES["sorry"])))
    explanation = ask("split", world=steered(tree), down=("web-fra", "web-iad"))
    assert told(explanation, "failover")[1:] == [
        "(policy list) in this order: web-fra, web-iad",
        "(policy list) as above",
    ]
    assert explanation.answer == ("192.0.2.250",)


def test_weights_standby_and_shares_are_told() -> None:
    tree = Weighted(300, children("web-iad", "web-nrt", "sorry"), (3, 1, 0))
    explanation = ask("split", world=steered(tree))
    assert told(explanation, "weighted") == ["in proportion: web-iad 3, web-nrt 1, sorry standby"]
    assert told(explanation, "draw") == [
        "drawn for each query; first in the answer: "
        "198.51.100.10 of web-iad 75.0%, 203.0.113.10 of web-nrt 25.0%"
    ]
    assert not any(text.startswith("sorry") for text in told(explanation, "pool"))


def test_turns_are_told_as_one_possible_draw() -> None:
    explanation = ask("split", world=steered(RoundRobin(300, children("web-iad", "web-nrt"))))
    assert told(explanation, "round_robin") == ["in turn: web-iad, web-nrt"]
    assert told(explanation, "draw") == ["one possible draw of 198.51.100.10, 203.0.113.10"]


def test_sticky_tells_the_prefix_and_the_order_of_its_hash() -> None:
    tree = Sticky(300, children("web-fra", "web-iad", "web-nrt"), (1, 2, 0), "shop")
    table = uniform_table({}, (24, 56))
    explanation = ask("split", world=steered(tree, table), client="198.51.100.7")
    text = told(explanation, "sticky")[0]
    assert text.startswith("by the hash of 198.51.100.0/24: ")
    assert text.endswith(" (web-fra 1, web-iad 2, web-nrt standby)")
    first = text.removeprefix("by the hash of 198.51.100.0/24: ").split(",")[0]
    assert told(explanation, "endpoint")[0].split(" from pool ")[1].startswith(first)
    assert explanation.scope == 24


# ---- health -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (AddressHealth(State.UP), ""),
        (AddressHealth(), ""),
        (AddressHealth(State.DOWN), "; 192.0.2.10 is down"),
        (AddressHealth(State.UP, "", 10.0), "; 192.0.2.10 fails, may be down in 10 s"),
        (AddressHealth(State.DOWN, "", 2.5), "; 192.0.2.10 is down, may be up in 2.5 s"),
        (AddressHealth(State.UP, "drain"), "; 192.0.2.10 is drained"),
        (AddressHealth(State.UP, "down"), "; 192.0.2.10 is forced down"),
        (AddressHealth(State.DOWN, "up"), "; 192.0.2.10 is forced up, probes say down"),
        (AddressHealth(State.UP, "up", ramp=40), "; 192.0.2.10 is forced up"),
        (AddressHealth(State.UP, leaving=True), "; 192.0.2.10 is about to be drained"),
        (AddressHealth(State.UP, ramp=40), "; 192.0.2.10 is back, weight at 40 %"),
    ],
)
def test_the_state_of_each_endpoint_is_told(state: AddressHealth, text: str) -> None:
    world = make_world()
    health = with_addresses(world.health, {Slot(0, 0, 4): state})
    told_text = told(ask("list", world=World(world.plan, health, 2)), "pool")[0]
    assert told_text.partition(" up")[2] == text


def test_a_long_list_of_dead_endpoints_is_cut() -> None:
    many: Pool = pool(0, "web-fra", *(endpoint(f"192.0.2.{n}") for n in range(1, 31)))
    world = steered(PoolNode(300, many))
    config = replace(world.plan.config, pools=(many, *POOLS[1:]))
    states = tuple(AddressHealth(State.DOWN) for _ in range(29))
    first = replace(world.health.pools[0], ipv4=(AddressHealth(), *states))
    health = replace(world.health, pools=(first, *world.health.pools[1:]))
    explanation = ask("split", world=World(replace(world.plan, config=config), health, 2))
    assert told(explanation, "pool")[0].count("is down") == 8
    assert told(explanation, "pool")[0].endswith("; and 21 more")


def test_the_rule_that_set_the_ttl_is_told() -> None:
    world = make_world()
    failing = with_addresses(world.health, {Slot(0, 0, 4): AddressHealth(State.UP, "", 20.0)})
    explanation = ask("list", world=World(world.plan, failing, 2))
    assert (explanation.ttl, told(explanation, "ttl")) == (20, ["20: health may change in 20 s"])


def test_the_passes_of_the_last_resort_are_told() -> None:
    explanation = ask("www", down=("fra", "iad", "nrt"), location=LONDON)
    assert told(explanation, "policy") == [
        'policy "web"',
        "nothing available: when_all_down serve_all",
        "again, as if probes did not count",
        "last resort: probes ignored (serve_all)",
    ]
    assert explanation.ttl == 7
    assert told(explanation, "ttl") == ["7: ttl_min, because nothing is available"]


def test_nodata_and_servfail_as_last_resorts() -> None:
    world = steered(LEAVES["web-iad"], last_resort="nodata")
    explanation = ask("split", world=world, down=("iad",))
    assert (explanation.rcode, explanation.answer) == ("NOERROR", ())
    assert (explanation.ttl, explanation.scope) == (30, 0)  # the SOA's 60, cut to the record's
    world = steered(LEAVES["web-iad"], last_resort="servfail")
    explanation = ask("split", world=world, down=("iad",))
    assert (explanation.rcode, explanation.ttl, explanation.scope) == ("SERVFAIL", None, 0)


def test_the_named_pool_is_told() -> None:
    gate = Policy("split", GATE, last_resort="pool", last_pool=BY_NAME["sorry"])
    world = make_world(extra=[gate])
    table = uniform_table({100: (0, 1, 2), 103: (0, 2)})
    world = World(
        replace(world.plan, tables={**world.plan.tables, "split": table}), world.health, 1
    )
    explanation = ask("split", world=world, down=("fra",))
    assert "nothing available: when_all_down sorry" in told(explanation, "policy")
    assert explanation.answer == ("192.0.2.250",)


# ---- the client -------------------------------------------------------------------------


def test_ecs_off_says_whose_address_this_is_and_has_scope_0() -> None:
    world = make_world(extra=[Policy("web", NEAR, ecs=False)])
    explanation = ask("www", world=world)
    assert explanation.scope == 0
    assert "ecs: off, so this is the resolver's address, not its client's" in told(
        explanation, "client"
    )
    assert told(explanation, "scope") == ["/0: the policy does not look at client subnets"]


def test_who_is_believed_is_told() -> None:
    world = make_world(settings=Settings(ecs_from=("192.0.2.0/24",)))
    assert "client subnets are believed from 192.0.2.0/24 only" in told(
        ask("www", world=world), "client"
    )


def test_an_uncovered_special_address_is_told_and_is_a_client_of_whom_nothing_is_known() -> None:
    explanation = ask("www", client="10.1.2.3")
    assert told(explanation, "client")[1].startswith("special-purpose, and in no client group")
    assert explanation.answer == ("192.0.2.10", "192.0.2.11")  # the unknown treatment, 0
    assert explanation.scope == 8


def test_a_network_stands_for_its_first_address() -> None:
    assert ask("www", client="150.1.2.77/9") == ask("www", client="150.0.0.0")


def test_what_is_taken_down_must_exist() -> None:
    with pytest.raises(ValueError, match='did you mean "fra"'):
        ask("www", down=("frra",))


# ---- the same code ----------------------------------------------------------------------

NAMES = ["www", "api", "list", "split", "four", "x.img", "txt", "nope", "ns1", "x.sub", "ent"]


@pytest.mark.parametrize("rrtype", ["A", "AAAA", "TXT"])
@pytest.mark.parametrize("down", [(), ("fra",), ("fra", "iad"), ("fra", "iad", "nrt")])
def test_explaining_says_what_the_engine_answers(rrtype: str, down: tuple[str, ...]) -> None:
    for name in NAMES:
        for network in ("50.1.2.0/24", "150.1.2.0/24", "203.0.113.0/24", "2001:db8::/56"):
            world = make_world()
            explanation = ask(name, rrtype, network, world, down)
            slots = {
                Slot(p.index, n, family): DOWN
                for p in POOLS
                if p.datacenter is not None and p.datacenter.name in down
                for n in range(len(p.endpoints))
                for family in (4, 6)
            }
            engine = PythonEngine(
                World(world.plan, with_addresses(world.health, slots), 2),  # type: ignore[arg-type]
                Random(1),
            )
            query = dns.message.make_query(
                f"{name}.{APEX}", rrtype, options=[dns.edns.ECSOption.from_text(network)]
            )
            wire = engine.answer(query.to_wire(), "192.0.2.1", "udp")
            assert wire is not None
            reply = dns.message.from_wire(wire)
            data = sorted(str(rdata) for rrset in reply.answer for rdata in rrset)
            if name == "split" and explanation.answer:
                data = list(explanation.answer)  # a draw
            assert sorted(explanation.answer) == data
            ttls = {rrset.ttl for rrset in reply.answer or reply.authority if name != "x.sub"}
            assert ttls == ({explanation.ttl} if explanation.ttl is not None else set())
            assert reply.options[0].scopelen == explanation.scope

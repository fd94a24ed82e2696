"""A small world for tests, made of values: no file, no database, no socket."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from ipaddress import ip_address

from gslb.core.client import ClientGroup
from gslb.core.decide import Branch, Offer
from gslb.core.health import Health, all_unknown
from gslb.core.image import build
from gslb.core.policy import (
    Child,
    DataCenter,
    Endpoint,
    Failover,
    Nearest,
    Policy,
    Pool,
    PoolNode,
    Route,
    Routes,
    Weighted,
)
from gslb.core.setting import Settings
from gslb.core.table import PolicyTable, RangeTable, Treatment, uniform_table
from gslb.core.target import targets_of
from gslb.core.world import Configuration, Plan, World
from gslb.core.zone import RRset, Zone
from gslb.wire import rrtype as rr
from gslb.wire.name import from_text

FRA = DataCenter("fra", (50.11, 8.68), 4000)
IAD = DataCenter("iad", (39.04, -77.49), 6000)
NRT = DataCenter("nrt", (35.76, 140.39), 3000)


def endpoint(*addresses: str, weight: int = 1) -> Endpoint:
    """An endpoint of one address or a pair."""
    v4 = next((ip_address(a).packed for a in addresses if "." in a), None)
    v6 = next((ip_address(a).packed for a in addresses if ":" in a), None)
    return Endpoint(addresses[0], v4, v6, weight)


def pool(index: int, name: str, *endpoints: Endpoint, **more: object) -> Pool:
    """A pool."""
    return Pool(index, name, endpoints, **more)  # type: ignore[arg-type]


POOLS = (
    pool(
        0,
        "web-fra",
        endpoint("192.0.2.10", "2001:db8::10"),
        endpoint("192.0.2.11", "2001:db8::11"),
        datacenter=FRA,
    ),
    pool(1, "web-iad", endpoint("198.51.100.10", "2001:db8:2::10"), datacenter=IAD),
    pool(2, "web-nrt", endpoint("203.0.113.10", "2001:db8:3::10"), datacenter=NRT),
    pool(3, "sorry", endpoint("192.0.2.250", "2001:db8::250")),
    pool(4, "old", endpoint("192.0.2.99"), datacenter=FRA),
)
BY_NAME = {p.name: p for p in POOLS}
LEAVES = {p.name: PoolNode(p.index, p) for p in POOLS}


def children(*names: str) -> tuple[Child, ...]:
    """Pools as branches."""
    return tuple(Child(name, LEAVES[name]) for name in names)


NEAR = Nearest(100, children("web-fra", "web-iad", "web-nrt"), (0, 0, 0))
LIST = Failover(101, children("web-fra", "web-iad"))
SPLIT = Weighted(102, children("web-iad", "web-nrt"), (90, 10))
GATE = Routes(
    103,
    (
        Route("office", Child("web-fra", LEAVES["web-fra"]), fence=True),
        Route("dach", Child("web-fra", LIST)),
        Route(None, Child("catch", NEAR)),
    ),
)


def policies(*more: Policy) -> dict[str, Policy]:
    """The policies of the sample by name."""
    found = [
        Policy("web", NEAR),
        Policy("api", GATE, answers=2, last_resort="pool", last_pool=BY_NAME["sorry"]),
        Policy("list", LIST),
        Policy("split", SPLIT),
        Policy("v4only", LEAVES["old"]),
        *more,
    ]
    return {policy.name: policy for policy in found}


# By continent of the address's first octet: below 100 Europe, below 200 America, else Asia.
V4_NEAR: tuple[Treatment, ...] = (
    {100: (0, 1, 2), 103: (1, 2)},
    {100: (1, 0, 2), 103: (2,)},
    {100: (2, 1, 0), 103: (2,)},
)


def near_table(special: bool = True) -> PolicyTable:
    """A table with three treatments; 10/8 is special-purpose and uncovered."""
    cuts = [(0, 0), (10 << 24, 3), (11 << 24, 0), (100 << 24, 1), (200 << 24, 2)]
    if not special:
        cuts = [cut for cut in cuts if cut[1] != 3][:1] + cuts[3:]
    half = 1 << 63
    return PolicyTable(
        treatments=V4_NEAR,
        unknown=0,
        special=3,
        ipv4=RangeTable(32, array("I", [s for s, _ in cuts]), array("I", [v for _, v in cuts])),
        ipv6=RangeTable(64, array("Q", [0, half]), array("I", [0, 1])),
        shares=((0.4, 0.4, 0.2), (0.5, 0.5, 0.0)),
    )


def text_rdata(*strings: str) -> bytes:
    """TXT rdata."""
    return b"".join(bytes((len(s),)) + s.encode() for s in strings)


def steer(policy: str, ttl: int = 30) -> RRset:
    """A STEER record."""
    return RRset(rr.STEER, ttl, (text_rdata(policy),))


def soa(mname: str, rname: str, serial: int = 2026112001) -> RRset:
    """An SOA of TTL 3600 and MINIMUM 60."""
    numbers = b"".join(n.to_bytes(4, "big") for n in (serial, 7200, 900, 1209600, 60))
    return RRset(rr.SOA, 3600, (from_text(mname) + from_text(rname) + numbers,))


def a(*addresses: str, ttl: int = 300) -> RRset:
    """An A RRset."""
    return RRset(rr.A, ttl, tuple(ip_address(text).packed for text in addresses))


def names(rrtype: int, *targets: str, ttl: int = 300) -> RRset:
    """An RRset of names: NS, CNAME."""
    return RRset(rrtype, ttl, tuple(from_text(target) for target in targets))


APEX = "gslb.example.com."


def sample_zone() -> Zone:
    """A zone with a bit of everything."""
    records: dict[str, list[RRset]] = {
        "": [
            soa(f"ns1.{APEX}", f"hostmaster.{APEX}"),
            names(rr.NS, f"ns1.{APEX}", f"ns2.{APEX}"),
        ],
        "ns1": [a("192.0.2.53")],
        "ns2": [a("198.51.100.53")],
        "www": [steer("web"), RRset(rr.TXT, 300, (text_rdata("beside"),))],
        "api": [steer("api", 20)],
        "list": [steer("list", 60)],
        "split": [steer("split")],
        "four": [steer("v4only")],
        "*.img": [steer("web", 60)],
        "txt": [RRset(rr.TXT, 300, (text_rdata("static records live beside steered ones"),))],
        "a.deep.ent": [a("192.0.2.77")],
        "alias": [names(rr.CNAME, f"a.deep.ent.{APEX}")],
        "alias2": [names(rr.CNAME, f"alias.{APEX}")],
        "towww": [names(rr.CNAME, f"www.{APEX}")],
        "dangling": [names(rr.CNAME, f"nothing.{APEX}")],
        "outside": [names(rr.CNAME, "www.example.net.")],
        "loop1": [names(rr.CNAME, f"loop2.{APEX}")],
        "loop2": [names(rr.CNAME, f"loop1.{APEX}")],
        "*.wild": [a("192.0.2.88"), RRset(rr.TXT, 300, (text_rdata("wild"),))],
        "exact.wild": [RRset(rr.TXT, 300, (text_rdata("exact"),))],
        "sub": [names(rr.NS, f"ns.sub.{APEX}", f"ns1.{APEX}", "ns.example.net.")],
        "ns.sub": [a("192.0.2.60")],
        "big": [RRset(rr.TXT, 300, tuple(text_rdata(f"{n:04}" + "x" * 200) for n in range(8)))],
        "mx": [RRset(rr.MX, 300, (b"\0\x0a" + from_text(f"ns1.{APEX}"),))],
    }
    return build(
        from_text(APEX),
        {from_text(f"{owner}.{APEX}".lstrip(".")): rrsets for owner, rrsets in records.items()},
    )


def make_world(
    zones: Sequence[Zone] | None = None,
    health: Health | None = None,
    settings: Settings | None = None,
    extra: Sequence[Policy] = (),
) -> World:
    """A World of the sample; tables are by hand, health is all unknown unless given."""
    zones = tuple(zones if zones is not None else (sample_zone(),))
    by_name = policies(*extra)
    config = Configuration(
        settings=settings or Settings(),
        zones=zones,
        datacenters={d.name: d for d in (FRA, IAD, NRT)},
        checks={},
        pools=POOLS,
        policies=by_name,
        clients={"office": ClientGroup("office", ()), "dach": ClientGroup("dach", ())},
        overrides=(),
        tests=(),
        steered=dict.fromkeys(by_name, 30),
    )
    tables = {
        name: near_table() if policy.node in (NEAR, GATE) else uniform_table({})
        for name, policy in by_name.items()
    }
    plan = Plan(config, tables, (), {zone.apex: zone for zone in zones}, targets_of(config))
    return World(plan, health or all_unknown(POOLS), 1)


def pools_of(branch: Branch | None) -> tuple[str, ...]:
    """The names of the pools that a decision leads to, in order."""
    if branch is None:
        return ()
    if isinstance(branch, Offer):
        return (branch.pool.name,)
    return tuple(name for child in branch.branches for name in pools_of(child))

"""What is remembered of questions: one entry per existing name and type.

Knows: how an outcome of the zones becomes a ready body, and how long which memory may grow.
Refuses to know: packets, sockets, health. Invariant: what strangers ask for grows nothing.
Names that exist are remembered with the types that zones or resolvers really use; all other
types count as one. Of what does not exist there is one entry per zone, rcode and length of
the question's name (at most 255), below a cut one per length, under a wildcard one per
length and type. An entry's `kind` is what rate limiting counts by; it outlives a reload.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gslb.core.answer import (
    Absence,
    Found,
    Owned,
    Referral,
    Refused,
    Steered,
    enclose,
    lookup,
    negative_soa,
    zone_of,
)
from gslb.core.policy import Family
from gslb.core.world import Plan
from gslb.core.zone import CUT, OCCLUDED, WILD, Zone
from gslb.serve.ready import Ledger, Packed, Steering, pack
from gslb.wire.reply import Records, compose_body
from gslb.wire.rrtype import (
    AAAA,
    ANY,
    CNAME,
    DS,
    HTTPS,
    MX,
    NOERROR,
    NS,
    NXDOMAIN,
    PTR,
    SOA,
    SRV,
    SVCB,
    TXT,
    A,
)

MOST_NAMES: Final = 100_000
MOST_BELOW: Final = 20_000
NAMES_A_STEP: Final = 10  # a fraction of a millisecond
_CLASS_IN: Final = b"\0\1"
_NOWHERE: Final = -1  # no place in a zone's blob

# Besides what the zones hold: types with a meaning of their own, and what resolvers ask for
# all day. Every other type gets the answer of type 0, which no zone can hold.
_USUAL: Final = frozenset((A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DS, SVCB, HTTPS, ANY))

Key = TypeVar("Key")


@dataclass(slots=True, eq=False)
class Static:
    """An answer that is the same for everybody."""

    packed: Packed
    rcode: int
    kind: int


@dataclass(slots=True, eq=False)
class Chosen:
    """An answer that a policy decides; `zone` is where its SOA comes from, if NODATA."""

    steering: Steering
    zone: Zone
    kind: int


Entry = Static | Chosen
ERROR: Final = hash(b"error")


def kind_of(what: bytes, name: bytes) -> int:
    """The number of a class of replies: an answer's name, a cut, a zone's NXDOMAIN."""
    return hash(what + name)


class Memory:
    """Entries of one plan; `ready` is by key, type and class in wire form, as in a question."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.ready: dict[bytes, Entry] = {}
        self._below: dict[tuple[bytes, int, int, int], Entry] = {}
        self._ready_order: deque[bytes] = deque()
        self._below_order: deque[tuple[bytes, int, int, int]] = deque()
        self._steerings: dict[tuple[str, int, Family], Steering] = {}
        self._types = _USUAL.union(*(zone.types for zone in plan.zones.values()))
        self.plan, self._ledger = plan, ledger

    def follow(self, previous: Memory) -> Iterator[None]:
        """Remembers the names and types that `previous` does, a few at each step."""
        for number, question in enumerate(tuple(previous.ready), 1):
            self.entry(question[:-4], int.from_bytes(question[-4:-2], "big"))
            if not number % NAMES_A_STEP:
                yield

    def entry(self, key: bytes, qtype: int) -> Entry | None:
        """The entry of a question of class IN; None if no zone of ours holds the name."""
        if qtype not in self._types:
            qtype = 0
        zone = zone_of(self.plan.zones, key, qtype)
        if zone is None:
            return None
        place = zone.place(key)
        if place >= 0:
            ready_key = key + qtype.to_bytes(2, "big") + _CLASS_IN
            entry = self.ready.get(ready_key)
            if entry is None:
                entry = self._make(zone, key, qtype, kind_of(b"name", key))
                _keep(self.ready, self._ready_order, ready_key, entry, MOST_NAMES)
            return entry
        name, place = enclose(zone, key)
        flags = zone.flags(place)
        if flags & (CUT | OCCLUDED):
            qtype = 0  # below a cut every type gets the same referral
        elif not flags & WILD:
            return self._absence(zone, NXDOMAIN, len(key))
        for length in (0, len(key)):
            entry = self._below.get((zone.apex, place, qtype, length))
            if entry is not None:
                return entry
        # What strangers put before a wildcard does not make it another answer.
        entry = self._make(zone, key, qtype, kind_of(b"name*", name))
        length = 0 if isinstance(entry, Chosen) else len(key)
        below = (zone.apex, place, qtype, length)
        _keep(self._below, self._below_order, below, entry, MOST_BELOW)
        return entry

    def _absence(self, zone: Zone, rcode: int, length: int) -> Static:
        """NODATA or NXDOMAIN for a name of that length."""
        entry = self._below.get((zone.apex, _NOWHERE, rcode, length))
        if not isinstance(entry, Static):
            kind = kind_of(b"absent", zone.apex)
            entry = Static(pack_absence(zone, rcode, length), rcode, kind)
            below = (zone.apex, _NOWHERE, rcode, length)
            _keep(self._below, self._below_order, below, entry, MOST_BELOW)
        return entry

    def _make(self, zone: Zone, key: bytes, qtype: int, kind: int) -> Entry:
        limits = self.plan.config.settings.limits
        outcome = lookup(self.plan.zones, key, qtype, limits.cname_chain, limits.additional)
        size = len(key)
        match outcome:
            case Steered():
                return self._chosen(outcome, key, 4 if qtype == A else 6, kind)
            case Found():
                answers, more = _records(outcome.answers), _records(outcome.additional)
                body = compose_body(size, outcome.anchor, answers, optional=more)
                caps = tuple(self._ledger.cell("cap", name) for name in outcome.cut)
                return Static(pack(body, NOERROR, True, caps), NOERROR, kind)
            case Referral():
                body = compose_body(
                    size,
                    outcome.anchor,
                    authority=_records([(outcome.anchor, outcome.ns)]),
                    glue=_records(outcome.glue),
                    optional=_records(outcome.sibling),
                )
                cut = kind_of(b"referral", outcome.anchor)
                return Static(pack(body, NOERROR, False, ()), NOERROR, cut)
            case Absence() if not outcome.answers:
                return self._nothing(zone, outcome.rcode, size, kind)
            case Absence():
                soa = _records([(outcome.apex, outcome.soa)])
                body = compose_body(size, outcome.anchor, _records(outcome.answers), soa)
                return Static(pack(body, outcome.rcode, True, ()), outcome.rcode, kind)
            case Refused():
                raise AssertionError("the caller has seen that a zone holds the name")

    def _nothing(self, zone: Zone, rcode: int, length: int, kind: int) -> Static:
        """The same octets for all names; NODATA counts by name all the same."""
        shared = self._absence(zone, rcode, length)
        return shared if rcode == NXDOMAIN else Static(shared.packed, rcode, kind)

    def _chosen(self, steered: Steered, key: bytes, family: Family, kind: int) -> Entry:
        config = self.plan.config
        policy = config.policies[steered.policy]
        if not policy.has(family):
            return self._nothing(steered.zone, NOERROR, len(key), kind)
        known = self._steerings.get((policy.name, steered.ttl, family))
        if known is None:
            table = self.plan.tables[policy.name]
            known = Steering(policy, table, config.pools, steered.ttl, family, self._ledger)
            self._steerings[policy.name, steered.ttl, family] = known
        return Chosen(known, steered.zone, kind)


def pack_absence(zone: Zone, rcode: int, length: int, ttl: int | None = None) -> Packed:
    """NODATA or NXDOMAIN; `ttl` cuts the SOA's (steering.md, Nothing available)."""
    soa = _records([(zone.apex, negative_soa(zone, ttl))])
    return pack(compose_body(length, zone.apex, authority=soa), rcode, True, ())


def _keep(memory: dict[Key, Entry], order: deque[Key], key: Key, entry: Entry, most: int) -> None:
    """Remembers an entry that is new; beyond the bound the oldest goes.

    `order` has the keys from the oldest on: a dict has to search for its first one, longer and
    longer the more of them went.
    """
    if len(order) >= most:
        del memory[order.popleft()]
    order.append(key)
    memory[key] = entry


def _records(owned: Sequence[Owned]) -> Records:
    return [(owner, rrset.type, rrset.ttl, rrset.rdatas) for owner, rrset in owned]

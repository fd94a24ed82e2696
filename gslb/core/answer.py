"""What a zone says to a question: the algorithm of RFC 1034 section 4.3.2, authoritative part.

Knows: exact matches, wildcards (RFC 4592), empty non-terminals (RFC 8020), aliases inside
the zone, referrals with glue (RFC 9471), negatives (RFC 2308), ANY (RFC 8482). Refuses to
know: packets, clients, health. Invariant: an outcome is a value, and every outcome has an
`anchor`, the existing name that the question's name ends with; existence never depends on
who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from gslb.core.zone import CUT, OCCLUDED, WILD, Node, RRset, Zone
from gslb.wire.name import ROOT, is_below, parent, parse
from gslb.wire.rrtype import (
    AAAA,
    ANY,
    CNAME,
    DS,
    HINFO,
    HTTPS,
    MX,
    NOERROR,
    NS,
    NXDOMAIN,
    SOA,
    SRV,
    STEER,
    SVCB,
    A,
)

Zones = Mapping[bytes, Zone]
Owned = tuple[bytes | None, RRset]  # None: the question's name

# The caps that an answer can reach, as `server.limits` and the metrics name them.
CNAME_CHAIN: Final = "cname_chain"
ADDITIONAL: Final = "additional"

# RFC 8482 section 4.2; the TTL is that of the RFC's own example.
_HINFO: Final = RRset(HINFO, 3789, (b"\x07RFC8482\x00",))
_STAR: Final = b"\x01*"
_ADDRESSES: Final = frozenset((A, AAAA))

# Types that name hosts, and how many octets of their rdata stand before the host's name
# (RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.1).
_HOSTS: Final = {NS: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}


@dataclass(frozen=True, slots=True)
class Found:
    """Records: aliases in the order of the chain, then the RRset asked for, if it was reached.

    `cut` names the settings of `server.limits` without which there would be more.
    """

    anchor: bytes
    answers: tuple[Owned, ...]
    additional: tuple[Owned, ...] = ()
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Steered:
    """A and AAAA are decided by a policy. `owner` is the key of the STEER record's name."""

    anchor: bytes
    owner: bytes
    zone: Zone
    policy: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Referral:
    """Somebody else's: the NS records of the cut, and addresses of name servers.

    `glue` is in-domain and must be given; `sibling` glue may be left out (RFC 9471).
    """

    anchor: bytes
    ns: RRset
    glue: tuple[Owned, ...]
    sibling: tuple[Owned, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """NODATA (rcode NOERROR) or NXDOMAIN, perhaps at the end of a chain of aliases."""

    anchor: bytes
    rcode: int
    apex: bytes
    soa: RRset
    answers: tuple[Owned, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """No zone of ours holds the name."""


Outcome = Found | Steered | Referral | Absence | Refused
REFUSED: Final = Refused()


def zone_of(zones: Zones, key: bytes, qtype: int) -> Zone | None:
    """The zone with the longest apex that holds the name.

    DS is the parent's (RFC 4035 section 3.1.4.1): at an apex of ours the parent answers, if
    we have it too.
    """
    best: Zone | None = None
    at = 0
    while True:  # over the suffixes, without a generator: a name may have 127 labels
        zone = zones.get(key[at:])
        if zone is not None:
            if qtype != DS or at:
                return zone
            best = zone
        if not key[at]:
            return best
        at += key[at] + 1


def enclose(zone: Zone, key: bytes) -> tuple[bytes, int]:
    """(name, place) of the closest encloser of a name that does not exist (RFC 4592 3.3.1).

    Halved, not climbed: a name has at most 127 labels, and above what exists all exists.
    """
    starts: list[int] = []
    at, last = key[0] + 1, len(key) - len(zone.apex)
    while at <= last:
        starts.append(at)
        at += key[at] + 1
    low, high, found = 0, len(starts) - 1, -1  # the last is the apex, which exists
    while low < high:
        middle = (low + high) // 2
        place = zone.place(key[starts[middle] :])
        if place < 0:
            low = middle + 1
        else:
            high, found = middle, place
    name = key[starts[high] :]
    return name, zone.place(name) if found < 0 else found


def lookup(zones: Zones, key: bytes, qtype: int, chain: int = 8, names: int = 13) -> Outcome:
    """The outcome for a name (lower-case wire key) and type, class IN.

    `chain` is the largest number of aliases followed, `names` of names that get additional data.
    """
    zone = zone_of(zones, key, qtype)
    if zone is None:
        return REFUSED
    return _Search(zones, zone, chain, names).find(key, qtype)


def negative_soa(zone: Zone, ttl: int | None = None) -> RRset:
    """The SOA of a negative answer, TTL min(its own, MINIMUM) (RFC 2308 section 3) or `ttl`."""
    node = zone.find(zone.apex)
    soa = node.get(SOA) if node is not None else None
    assert soa is not None, "image.build refuses a zone without SOA"
    minimum = int.from_bytes(soa.rdatas[0][-4:], "big")
    least = min(soa.ttl, minimum) if ttl is None else min(soa.ttl, minimum, ttl)
    return RRset(SOA, least, soa.rdatas)


class _Search:
    """One lookup: follows aliases within one zone."""

    def __init__(self, zones: Zones, zone: Zone, chain: int, names: int) -> None:
        self.zones, self.zone, self.chain, self.names = zones, zone, chain, names

    def find(self, key: bytes, qtype: int) -> Outcome:
        node, anchor = self._match(key)
        if anchor.flags & (CUT | OCCLUDED) and (cut := self._cut(anchor, key, qtype)) is not None:
            return self._refer(cut)
        if node is None:
            return self._absent(anchor.name, NXDOMAIN)
        if (steer := node.steer) is not None and qtype in (A, AAAA):
            return Steered(anchor.name, node.name, self.zone, *steer)
        alias = node.get(CNAME)
        if alias is not None and qtype not in (CNAME, ANY):
            return self._follow(anchor.name, node, alias, qtype)
        rrset = _select(node, qtype)
        if rrset is None:
            return self._absent(anchor.name, NOERROR)
        return self._give(anchor.name, ((None, rrset),), key, node, rrset)

    def _match(self, key: bytes) -> tuple[Node | None, Node]:
        """(node that holds the data: the name's own or a wildcard's, closest encloser)."""
        zone = self.zone
        place = zone.place(key)
        if place >= 0:
            node = zone.node(place)
            return node, node
        name, place = enclose(zone, key)
        encloser = zone.node(place)
        source = zone.find(_STAR + name) if encloser.flags & WILD else None
        return source, encloser

    def _cut(self, anchor: Node, key: bytes, qtype: int) -> Node | None:
        """The cut at or above the closest encloser, None if DS makes the name ours."""
        if anchor.flags & CUT and not anchor.flags & OCCLUDED:
            return None if qtype == DS and anchor.name == key else anchor
        cut = anchor
        while cut.flags & OCCLUDED:
            above = self.zone.find(parent(cut.name))
            assert above is not None, "every name between a name and the apex exists"
            cut = above
        return cut

    def _refer(self, cut: Node) -> Referral:
        ns = cut.get(NS)
        assert ns is not None, "a cut is a name with NS records"
        glue: list[Owned] = []
        sibling: list[Owned] = []
        for target in _targets(ns):
            within = is_below(target, cut.name)
            for rrset in self._addresses(target):
                (glue if within else sibling).append((target, rrset))
        return Referral(cut.name, ns, tuple(glue), tuple(sibling))

    def _absent(self, anchor: bytes, rcode: int, answers: Sequence[Owned] = ()) -> Absence:
        return Absence(anchor, rcode, self.zone.apex, negative_soa(self.zone), tuple(answers))

    def _follow(self, anchor: bytes, node: Node, alias: RRset, qtype: int) -> Found | Absence:
        """The chain of aliases from `node`, as far as this zone knows it.

        It ends before a steered name (the resolver asks again, RFC 7871 section 7.2.1), at a
        cut, outside the zone, and where it would come to a node again. A wildcard is one node
        whatever name it stands for: the chain must not depend on what was asked.
        """
        answers: list[Owned] = [(None, alias)]
        seen = {node.name}
        while len(answers) <= self.chain:
            target = alias.rdatas[0].lower()
            if zone_of(self.zones, target, qtype) is not self.zone:
                break
            found, encloser = self._match(target)
            if encloser.flags & (CUT | OCCLUDED) and self._cut(encloser, target, qtype) is not None:
                break
            if found is None:
                return self._absent(anchor, NXDOMAIN, answers)
            if found.name in seen or (found.steer is not None and qtype in (A, AAAA)):
                break
            seen.add(found.name)
            next_alias = found.get(CNAME)
            if next_alias is None:
                rrset = _select(found, qtype)
                if rrset is None:
                    return self._absent(anchor, NOERROR, answers)
                answers.append((target, rrset))
                return self._give(anchor, tuple(answers), target, found, rrset)
            answers.append((target, next_alias))
            alias = next_alias
        else:
            return Found(anchor, tuple(answers), cut=(CNAME_CHAIN,))
        return Found(anchor, tuple(answers))

    def _give(
        self, anchor: bytes, answers: tuple[Owned, ...], owner: bytes, node: Node, rrset: RRset
    ) -> Found:
        """The answers, and addresses of the hosts that the last RRset names, `owner`'s from `node`.

        Those are optional (RFC 2181 section 9). SVCB and HTTPS bring their own type too, and
        mean the name of the service itself by "." (RFC 9460 sections 2.5.2 and 4.1).
        """
        if rrset.type not in _HOSTS:
            return Found(anchor, answers)
        types = _ADDRESSES | {rrset.type} if rrset.type in (SVCB, HTTPS) else _ADDRESSES
        found: list[Owned] = []
        targets = _targets(rrset)
        for target in targets[: self.names]:
            if target == ROOT and rrset.type in (SVCB, HTTPS):
                own = (each for each in node.rrsets if each.type in _ADDRESSES)
                found.extend((answers[-1][0], addresses) for addresses in own)
                continue
            wanted = _ADDRESSES if target == owner else types  # no record twice
            found.extend((target, more) for more in self._addresses(target, wanted))
        is_cut = any(self._addresses(target, types) for target in targets[self.names :])
        return Found(anchor, answers, tuple(found), (ADDITIONAL,) if is_cut else ())

    def _addresses(self, target: bytes, types: Set[int] = _ADDRESSES) -> tuple[RRset, ...]:
        """Static A and AAAA of a name of this zone, glue included; steered ones never are.

        What a wildcard gives a host is given too: who asks for it would get the same.
        """
        if not is_below(target, self.zone.apex):
            return ()
        node, _ = self._match(target)
        if node is None:
            return ()
        return tuple(rrset for rrset in node.rrsets if rrset.type in types)


def _select(node: Node, qtype: int) -> RRset | None:
    if qtype == ANY:
        # An alias is given as it is: HINFO must not stand beside it (RFC 8482 section 4.2).
        return node.get(CNAME) or (_HINFO if node.rrsets else None)
    return None if qtype == STEER else node.get(qtype)


def _targets(rrset: RRset) -> list[bytes]:
    """The names of the hosts in an RRset, as keys, each once."""
    skip = _HOSTS[rrset.type]
    names = (rdata[skip : parse(rdata, skip)] for rdata in rrset.rdatas)
    return list(dict.fromkeys(name.lower() for name in names))

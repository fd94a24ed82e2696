"""What makes the records of a draft a zone, and what is probably not meant.

Knows: RFC 1034, 1035 and 2181 as far as they bind a zone's content, and the rules of STEER
(config.md). Refuses to know: files, master-file syntax, policies. Invariant: RRsets are handed
on only when the draft has no error; every problem has the line of the record it is about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from gslb.config.zonedraft import Draft, Record
from gslb.config.zonetarget import Targets, show
from gslb.core.setting import Limits
from gslb.core.zone import RRset
from gslb.errors import Where
from gslb.wire.name import MAX_NAME, is_below, skip
from gslb.wire.rrtype import (
    AAAA,
    CNAME,
    DNAME,
    HTTPS,
    MX,
    NS,
    NSEC,
    PTR,
    RRSIG,
    SOA,
    STEER,
    SVCB,
    A,
    type_text,
)
from gslb.wire.stream import MAX_MESSAGE

_KEY, _NSEC3, _NSEC3PARAM = 25, 50, 51
_SIGNING: Final = {RRSIG: "RRSIG", NSEC: "NSEC", _NSEC3: "NSEC3", _NSEC3PARAM: "NSEC3PARAM"}
_BESIDE_CNAME: Final = frozenset((CNAME, RRSIG, NSEC, _KEY))  # RFC 4035 section 2.5
_NAMES_ONLY: Final = frozenset((NS, CNAME, PTR, DNAME))  # data that is one name
# One record at a name, not even the same twice (RFC 2181 section 10.1, RFC 6672 section 2.4).
_SINGLE: Final = (CNAME, DNAME, SOA, STEER)
_WILDCARD: Final = b"\x01*"
_HEADER, _QUESTION, _RECORD = 12, 4, 12  # octets beside the name and the data
_OPT: Final = 35  # with an IPv6 client subnet
_MAX_STEERED_TTL: Final = 300
_HINTS: Final = {4: "ipv4hint", 6: "ipv6hint"}  # RFC 9460 section 14.3.2
_WRITE_SOA: Final = 'write "@ SOA ns1 hostmaster 1 7200 900 1209600 60"'

Nodes = dict[bytes, dict[int, RRset]]


def _room(owner: bytes) -> int:
    """Octets that a TCP reply has for the records of a name; a wildcard stands for any length."""
    longest = MAX_NAME if owner.startswith(_WILDCARD) else len(owner)
    return MAX_MESSAGE - _HEADER - longest - _QUESTION - _OPT


def check_zone(draft: Draft, limits: Limits, apexes: Collection[bytes]) -> Nodes:
    """The draft's RRsets by owner key and type; the problems go to the draft.

    `apexes` are those of all zones that are loaded together.
    """
    apex = draft.apex
    if apex is None:
        if draft.files and draft.lacks("SOA"):
            draft.errors.error(Where(draft.shown), "zone", "has no SOA record", _WRITE_SOA)
        return {}
    check = _ZoneCheck(draft, apex, limits)
    nodes = check.gather()
    targets = Targets(draft, apex, nodes, apexes)
    if targets.is_too_large:
        what, hint = "has too many names, the empty ones above others included", "split the zone"
        draft.errors.error(Where(draft.shown), f"zone {show(apex)}", what, hint)
        return nodes
    check.check_apex(nodes)
    for owner, node in nodes.items():
        check.check_name(owner, node)
        if STEER in node:
            check.check_steered(owner, node, targets.is_delegated(owner))
    check.check_name_servers(nodes)
    if draft.is_whole:
        targets.warn(limits)
    return nodes


class _ZoneCheck:
    """The checks of one zone."""

    def __init__(self, draft: Draft, apex: bytes, limits: Limits) -> None:
        self._draft: Final = draft
        self._apex: Final = apex
        self._limits: Final = limits
        self._signing_seen: set[int] = set()

    def gather(self) -> Nodes:
        """The RRsets of all names in the zone."""
        nodes: Nodes = {}
        for owner, records in self._draft.records.items():
            if not is_below(owner, self._apex):
                self._refuse_outsider(owner, records)
                continue
            if len(records) == 1:
                types = {records[0].type: records}
            else:
                types = {}
                for record in records:
                    types.setdefault(record.type, []).append(record)
            nodes[owner] = {each: self._gather_rrset(owner, types[each]) for each in types}
        return nodes

    def _refuse_outsider(self, owner: bytes, records: Iterable[Record]) -> None:
        if not self._draft.is_apex_sure:
            return  # the apex is a guess from the file's name
        for record in records:
            subject = f"{show(owner)} {type_text(record.type)}"
            what = f"is outside the zone {show(self._apex)}"
            hint = "move it to its own zone's file, or mend the name or $ORIGIN"
            self._draft.errors.error(self._draft.where(record.place), subject, what, hint)

    def _gather_rrset(self, owner: bytes, records: list[Record]) -> RRset:
        """Records of one type: no duplicates, the lowest TTL (RFC 2181 section 5)."""
        rrtype, ttl, rdata, _ = records[0]
        if len(records) == 1:
            if _RECORD + len(rdata) > _room(owner):
                self._refuse_size(owner, rrtype)
            return RRset(rrtype, ttl, (rdata,))
        rdatas: dict[bytes, bytes] = {}
        kept: list[Record] = []
        for record in records:
            folded = _fold(rrtype, record.rdata)
            if folded in rdatas and rrtype not in _SINGLE:
                self._warn(record.place, owner, f"the same {type_text(rrtype)} twice", "take one")
                continue
            rdatas[folded] = record.rdata
            kept.append(record)
        odd = next((record for record in kept if record.ttl != ttl), None)
        if odd is not None and rrtype != RRSIG:  # those follow the types they cover
            what = f"the {type_text(rrtype)} records have unequal TTLs"
            self._warn(odd.place, owner, what, "the lowest is taken")
        self._check_many(owner, rrtype, kept)
        if sum(_RECORD + len(rdata) for rdata in rdatas) > _room(owner):
            self._refuse_size(owner, rrtype)
        return RRset(rrtype, min(record.ttl for record in records), tuple(rdatas.values()))

    def _check_many(self, owner: bytes, rrtype: int, records: list[Record]) -> None:
        """How many records a type may have at a name."""
        is_single = rrtype in _SINGLE
        most = 1 if is_single else self._limits.rrset
        if len(records) <= most:
            return
        what = f"{len(records)} {type_text(rrtype)} records where {most} may be"
        if is_single:
            self._error(records[most].place, owner, what, "keep one of them")
        else:
            where = self._draft.where(records[most].place)
            self._draft.errors.exceed(where, f"name {show(owner)}", what, "rrset")

    def _refuse_size(self, owner: bytes, rrtype: int) -> None:
        what = f"the {type_text(rrtype)} records do not fit a message of {MAX_MESSAGE} octets"
        self._error_at(self._draft.where_is(owner, rrtype), owner, what, "take some away")

    def check_apex(self, nodes: Nodes) -> None:
        """SOA and NS stand at the apex, and the SOA nowhere else."""
        draft = self._draft
        node = nodes.get(self._apex, {})
        subject = f"zone {show(self._apex)}"
        if SOA not in node and draft.lacks("SOA"):
            draft.errors.error(Where(draft.shown), subject, "has no SOA record", _WRITE_SOA)
        if NS not in node and draft.lacks("NS"):
            hint = 'write "@ NS" and a name server, twice'
            draft.errors.error(Where(draft.shown), subject, "has no NS record at its apex", hint)
        if NS in node and len(node[NS].rdatas) == 1 and draft.lacks("NS"):
            hint = "a second name server, in another network, keeps the zone alive"
            draft.warnings.warn(
                draft.where_is(self._apex, NS), subject, "has only one NS record", hint
            )

    def check_name(self, owner: bytes, node: dict[int, RRset]) -> None:
        """What may stand together at a name (RFC 2181 section 10), and types with a caveat."""
        if SOA in node and owner != self._apex:
            what = f"SOA below the apex of the zone {show(self._apex)}"
            self._error_of(owner, SOA, what, "one file holds one zone: move this one to its own")
        if CNAME in node and (others := node.keys() - _BESIDE_CNAME - {STEER}):
            names = ", ".join(sorted(type_text(other) for other in others))
            self._error_of(owner, CNAME, f"CNAME beside {names}", "a CNAME stands alone")
        if len(node) > self._limits.types_per_name:
            what = f"{len(node)} types, over {self._limits.types_per_name}"
            first = list(node)[self._limits.types_per_name]
            where = self._draft.where_is(owner, first)
            self._draft.errors.exceed(where, f"name {show(owner)}", what, "types_per_name")
        if NS in node and owner.startswith(_WILDCARD):  # RFC 4592 section 4.2
            what = "NS at a wildcard delegates none of the names it covers"
            self._warn_of(
                owner, NS, what, "write NS records at each name that is a zone of its own"
            )
        if DNAME in node:
            what = "DNAME is served but not followed"
            self._warn_of(owner, DNAME, what, "following it comes with a later release")
        for rrtype in node.keys() & _SIGNING.keys() - self._signing_seen:
            self._signing_seen.add(rrtype)
            what = f"{_SIGNING[rrtype]} records are served as plain data"
            self._warn_of(owner, rrtype, what, "signing comes with a later release")

    def check_steered(self, owner: bytes, node: dict[int, RRset], delegated: bool) -> None:
        """STEER answers A and AAAA, in this zone's own right (config.md)."""
        if beside := [type_text(rrtype) for rrtype in (A, AAAA, CNAME) if rrtype in node]:
            what = f"STEER beside {' and '.join(beside)}"
            self._error_of(owner, STEER, what, "STEER answers A and AAAA: take one of them away")
        if delegated:
            hint = "the name belongs to the zone that the NS records point to"
            self._error_of(owner, STEER, "STEER at or below a zone cut", hint)
        if (ttl := node[STEER].ttl) > _MAX_STEERED_TTL:
            what = f"a steered TTL of {ttl} seconds"
            hint = f"clients keep an answer that long: {_MAX_STEERED_TTL} or less moves them sooner"
            self._warn_of(owner, STEER, what, hint)
        for rrtype in (HTTPS, SVCB):
            if rrtype in node and (keys := _address_hints(node[rrtype])):
                what = f"{' and '.join(keys)} beside STEER"
                hint = "clients that believe the hints are not steered: take them away"
                self._warn_of(owner, rrtype, what, hint)

    def check_name_servers(self, nodes: Nodes) -> None:
        """Whoever looks for the zone needs addresses that no policy withholds."""
        told: set[bytes] = set()
        for owner, node in nodes.items():
            for rdata in node[NS].rdatas if NS in node else ():
                target = rdata.lower()
                if target not in told and STEER in nodes.get(target, {}):
                    told.add(target)
                    what = f"STEER at a name that NS of {show(owner)} points to"
                    self._error_of(target, STEER, what, "give it A and AAAA records instead")

    def _error_of(self, owner: bytes, rrtype: int, what: str, hint: str) -> None:
        self._error_at(self._draft.where_is(owner, rrtype), owner, what, hint)

    def _error(self, place: int, owner: bytes, what: str, hint: str) -> None:
        self._error_at(self._draft.where(place), owner, what, hint)

    def _error_at(self, where: Where, owner: bytes, what: str, hint: str) -> None:
        self._draft.errors.error(where, f"name {show(owner)}", what, hint)

    def _warn_of(self, owner: bytes, rrtype: int, what: str, hint: str) -> None:
        where = self._draft.where_is(owner, rrtype)
        self._draft.warnings.warn(where, f"name {show(owner)}", what, hint)

    def _warn(self, place: int, owner: bytes, what: str, hint: str) -> None:
        self._draft.warnings.warn(self._draft.where(place), f"name {show(owner)}", what, hint)


def _fold(rrtype: int, rdata: bytes) -> bytes:
    """Rdata as it compares: the case of a name does not count (RFC 4343)."""
    if rrtype in _NAMES_ONLY:
        return rdata.lower()
    return rdata[:2] + rdata[2:].lower() if rrtype == MX else rdata


def _address_hints(rrset: RRset) -> list[str]:
    """The address hints among the parameters of HTTPS or SVCB records."""
    found: set[str] = set()
    for rdata in rrset.rdatas:
        at = skip(rdata, 2)
        while at < len(rdata):
            key, length = (int.from_bytes(rdata[i : i + 2], "big") for i in (at, at + 2))
            if key in _HINTS:
                found.add(_HINTS[key])
            at += 4 + length
    return sorted(found)

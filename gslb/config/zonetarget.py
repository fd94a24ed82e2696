"""Where the names in a zone's data lead: cuts, glue, aliases, and names that do not exist.

Knows: how a name is looked up in the zone (RFC 1034 section 4.3.2, RFC 4592). Refuses to know:
files and other zones than by their apex. Invariant: everything here is a warning, and none is
about a name that the zone does not answer for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from gslb.config.report import quote
from gslb.config.zonedraft import Draft
from gslb.core.setting import Limits
from gslb.core.zone import RRset
from gslb.wire.name import is_below, parent, suffixes, to_text
from gslb.wire.rrtype import AAAA, CNAME, MX, NS, STEER, A, type_text

Nodes = Mapping[bytes, Mapping[int, RRset]]
_NO_RRSETS: Final[Mapping[int, RRset]] = {}
# Empty non-terminals included: a line of 250 characters can make 120 names.
MAX_NAMES_OCTETS: Final = 128 * 1024 * 1024
_OUTSIDE: Final = "write the record, or end the name with a dot if it is outside this zone"


def show(name: bytes) -> str:
    """A name as a message shows it: without the last dot, in quotes."""
    text = to_text(name)
    return quote(text if text == "." else text[:-1])


class Targets:
    """The names of one zone, and what its records point to.

    `nodes` are the RRsets of the zone by owner key and type, `apexes` the zones loaded with it.
    """

    def __init__(self, draft: Draft, apex: bytes, nodes: Nodes, apexes: Collection[bytes]) -> None:
        self._draft: Final = draft
        self._apex: Final = apex
        self._nodes: Final = nodes
        self._apexes: Final = apexes
        self._cuts: Final = {key for key in nodes if NS in nodes[key] and key != apex}
        self._names: Final = {apex}
        octets = 0
        for name in nodes:
            while name not in self._names and octets <= MAX_NAMES_OCTETS:
                self._names.add(name)
                octets += len(name)
                name = parent(name)
        self.is_too_large: Final = octets > MAX_NAMES_OCTETS

    def is_delegated(self, name: bytes) -> bool:
        """Whether a name of the zone is at or below a cut."""
        return bool(self._cuts) and any(
            above in self._cuts for above in suffixes(name) if len(above) > len(self._apex)
        )

    def warn(self, limits: Limits) -> None:
        """Warn of every NS, MX and CNAME that leads nowhere."""
        for owner, node in self._nodes.items():
            below_cut = owner != self._apex and self.is_delegated(parent(owner))
            for rrtype in (NS, MX, CNAME):
                if rrtype in node and not below_cut:
                    for rdata in node[rrtype].rdatas[: limits.rrset]:  # more are an error
                        self._warn_of(owner, rrtype, rdata)
            if CNAME in node and not below_cut and self._is_long(node, limits.cname_chain):
                what = f"starts a loop or a chain of over {limits.cname_chain} CNAMEs"
                self._say(owner, CNAME, node[CNAME].rdatas[0], what)

    def _warn_of(self, owner: bytes, rrtype: int, rdata: bytes) -> None:
        """Judge one target."""
        target = _target(rrtype, rdata)
        if not is_below(target, self._apex):
            return
        if self.is_delegated(target):
            node = self._nodes.get(target, _NO_RRSETS)
            if rrtype == NS and A not in node and AAAA not in node:
                what = f"NS {show(target)} has no glue"
                self._say(owner, NS, rdata, what, "write its A or AAAA record in this zone")
            return
        if self._is_elsewhere(target):
            return
        found = self._find(target)
        what = f"{type_text(rrtype)} {show(target)}"
        if found is None:
            self._say(owner, rrtype, rdata, f"{what} does not exist", _OUTSIDE)
        elif rrtype != CNAME and CNAME in found:  # RFC 2181 section 10.3
            hint = "point to the name that the CNAME points to"
            self._say(owner, rrtype, rdata, f"{what} is a CNAME", hint)
        elif rrtype == NS and A not in found and AAAA not in found and STEER not in found:
            self._say(owner, rrtype, rdata, f"{what} has no address", "write its A or AAAA record")

    def _is_elsewhere(self, target: bytes) -> bool:
        """Whether a zone loaded beside this one answers for a name."""
        return any(
            above in self._apexes for above in suffixes(target) if len(above) > len(self._apex)
        )

    def _find(self, name: bytes) -> Mapping[int, RRset] | None:
        """The RRsets of a name of the zone, wildcards honoured; None if it does not exist."""
        if name in self._names:
            return self._nodes.get(name, _NO_RRSETS)
        while name not in self._names:
            name = parent(name)
        star = b"\x01*" + name
        return self._nodes.get(star, _NO_RRSETS) if star in self._names else None

    def _is_long(self, node: Mapping[int, RRset], length: int) -> bool:
        """Whether a chain of CNAMEs that starts here has more than `length` of them."""
        for _ in range(length):
            target = _target(CNAME, node[CNAME].rdatas[0])
            if not is_below(target, self._apex) or self.is_delegated(target):
                return False
            found = self._find(target)
            if found is None or CNAME not in found:
                return False
            node = found
        return True

    def _say(self, owner: bytes, rrtype: int, rdata: bytes, what: str, hint: str = "") -> None:
        where = self._draft.where_is(owner, rrtype, rdata)
        self._draft.warnings.warn(where, f"name {show(owner)}", what, hint)


def _target(rrtype: int, rdata: bytes) -> bytes:
    """The key of the name that an NS, MX or CNAME record points to."""
    return (rdata[2:] if rrtype == MX else rdata).lower()

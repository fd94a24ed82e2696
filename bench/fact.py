"""A figure that stands by itself, and what it may be.

Knows: limits. Refuses to know: how anything was measured. Invariant: an invalid figure has failed,
whatever its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.compare import Figure

# What cookies and rate limiting may cost: (peer, least share of the earlier commit's queries).
GUARDS_OFF, GUARDS_ON = ("gslb", 0.9), ("gslb-guarded", 0.8)
LUA, TIMES_LUA = "powerdns-lua", 10.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure, the most and the least it may be; all in `unit`."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    fault: str = ""

    @property
    def failed(self) -> bool:
        """Invalid, or outside its limits."""
        above = self.most is not None and self.value > self.most
        below = self.least is not None and self.value < self.least
        return bool(self.fault) or above or below


def relate_pairs(figures: Sequence[Figure], commit: str | None) -> list[Fact]:
    """How gslb stands to the earlier commit in every workload, and to PowerDNS's Lua records."""
    facts = []
    for workload in dict.fromkeys(figure.workload for figure in figures):
        peers = {figure.peer: figure for figure in figures if figure.workload == workload}
        for peer, least in (GUARDS_OFF, GUARDS_ON) if commit else ():
            # The earlier one did nothing with a cookie, so there is no cost to bound.
            bound = None if peer == GUARDS_ON[0] and workload.startswith("cookie") else least
            facts += relate_pair(peers, peer, f"gslb@{commit}", bound)
        if workload == "geo-ecs":
            facts += relate_pair(peers, "gslb", LUA, TIMES_LUA)
    return facts


def relate_pair(peers: dict[str, Figure], one: str, other: str, least: float | None) -> list[Fact]:
    """The median of the ratios of rounds that followed each other; nothing if one is not there."""
    if one not in peers or other not in peers:
        return []
    above, below = peers[one], peers[other]
    ratio = median(
        upper / lower if lower else 0.0
        for upper, lower in zip(above.rounds_qps, below.rounds_qps, strict=True)
    )
    name = f"{above.workload}: {one} / {other}"
    return [Fact(name, ratio, "×", least=least, fault=above.fault or below.fault)]

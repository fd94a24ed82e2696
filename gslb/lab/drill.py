"""The drills there are.

Knows: their names, what each is about, how long it takes. Refuses to know: what they do.
Invariant: a drill fills the report it is given and returns; what it could not see in time is a
failed expectation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gslb.lab.blind import drill_blind
from gslb.lab.caching import drill_caching
from gslb.lab.everything import drill_everything
from gslb.lab.failover import drill_failover
from gslb.lab.flapping import drill_flapping
from gslb.lab.gray import drill_gray
from gslb.lab.house import House
from gslb.lab.overload import drill_overload
from gslb.lab.report import Report
from gslb.lab.world import LabError


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill. `about` says what happens, `lasts_s` how long it takes, roughly."""

    act: Callable[[House, Report], Awaitable[None]]
    about: str
    lasts_s: int


DRILLS: Final[Mapping[str, Drill]] = {
    "failover": Drill(drill_failover, "a region is killed, comes back, and is drained", 60),
    "everything-down": Drill(drill_everything, "all regions are killed and come back", 35),
    "flapping": Drill(drill_flapping, "a region breaks and heals every few seconds", 60),
    "gray": Drill(drill_gray, "a region is slow, errs now and then, says something else", 70),
    "capacity": Drill(
        drill_overload, "a region fails while all are busy, without shed and with", 70
    ),
    "prober-blind": Drill(drill_blind, "the server can probe nothing; then only one region", 60),
    "caching": Drill(drill_caching, "the same failure with TTL 5, 60, 300 and a deaf resolver", 70),
}


class UnknownDrillError(LabError, ValueError):
    """There is no drill of that name; the message lists those there are."""


def find_drill(name: str) -> Drill:
    """The drill of that name. Raises UnknownDrillError."""
    if name not in DRILLS:
        raise UnknownDrillError(f'no drill "{name}"; there are: {", ".join(DRILLS)}')
    return DRILLS[name]

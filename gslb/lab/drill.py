"""The drills there are.

Knows: their names. Refuses to know: what they do. Invariant: a drill fills the report it is
given and returns; what it could not see in time is a failed expectation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gslb.lab.failover import drill_failover
from gslb.lab.report import Report
from gslb.lab.stage import Stage
from gslb.lab.world import LabError

Drill = Callable[[Stage, Report], Awaitable[None]]

DRILLS: Final[Mapping[str, Drill]] = {"failover": drill_failover}


class UnknownDrillError(LabError, ValueError):
    """There is no drill of that name; the message lists those there are."""


def find_drill(name: str) -> Drill:
    """The drill of that name. Raises UnknownDrillError."""
    if name not in DRILLS:
        raise UnknownDrillError(f'no drill "{name}"; there are: {", ".join(DRILLS)}')
    return DRILLS[name]

"""What a calculated check counts, as plain values (health.md, Checks).

Refuses to know: how it is counted (core/calculated.py), where it comes from (core/target.py).
Invariant: a formula names everything that its verdict depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.core.check import Target
from gslb.core.policy import Family


@dataclass(frozen=True, slots=True, order=True)
class PoolOf:
    """A pool, by its index in the plan, for one family."""

    pool: int
    family: Family


@dataclass(frozen=True, slots=True)
class Formula:
    """One calculated target: `need` of the members have to be up.

    `place` is its rank: what it counts, directly or through a pool, has a lower one.
    """

    place: int
    members: tuple[Target | PoolOf, ...]
    need: int
    invert: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Which calculated targets count a target, and which a pool (by its index)."""

    targets: Mapping[Target, tuple[Target, ...]] = field(default_factory=dict)
    pools: Mapping[int, tuple[Target, ...]] = field(default_factory=dict)

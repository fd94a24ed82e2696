"""All that an answer depends on at one instant.

Knows: Plan (from files) and Health (from probes and operators), together a World with a
generation number. Refuses to know: how they came to be. Invariant: a World is never
changed, only replaced, by one assignment; `app` is the only one that makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.core.check import Check, Target
from gslb.core.client import ClientGroup, GeoOverride
from gslb.core.formula import Formula, Links
from gslb.core.health import Health, Slot
from gslb.core.policy import DataCenter, Policy, Pool
from gslb.core.setting import Settings
from gslb.core.table import PolicyTable
from gslb.core.zone import Zone


@dataclass(frozen=True, slots=True)
class ConfigTest:
    """One entry of `tests:`. `subject` is an address or network; addresses are packed.

    `expect` None or `expect_any` None: not asked. `place` says where it stands in the file.
    """

    name: bytes
    type: int
    subject: str
    down: tuple[str, ...]
    expect: frozenset[bytes] | None
    expect_any: frozenset[bytes] | None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say, before maps are opened: every reference is resolved and valid."""

    settings: Settings
    zones: tuple[Zone, ...]
    datacenters: Mapping[str, DataCenter]
    checks: Mapping[str, Check]
    pools: tuple[Pool, ...]
    policies: Mapping[str, Policy]
    clients: Mapping[str, ClientGroup]
    overrides: tuple[GeoOverride, ...]
    tests: tuple[ConfigTest, ...]
    steered: Mapping[str, int]  # policies that STEER records name, and their longest TTL in s


@dataclass(frozen=True, slots=True)
class MapInfo:
    """A GeoIP database in use: its kind ("city", "asn"), type, and build time (Unix seconds)."""

    kind: str
    path: str
    type: str
    built: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Zones, policies and tables: what was loaded. `tables` is by policy name, steered ones.

    `targets` are all that have a verdict, probed, reported or calculated, with the addresses that
    it is about (none: only a calculated check counts it). `formulas` are of the calculated ones,
    in the order in which they follow from each other, `links` tells who counts a target or a pool.
    """

    config: Configuration
    tables: Mapping[str, PolicyTable]
    maps: tuple[MapInfo, ...] = ()
    zones: Mapping[bytes, Zone] = field(default_factory=dict)
    targets: Mapping[Target, tuple[Slot, ...]] = field(default_factory=dict)
    formulas: Mapping[Target, Formula] = field(default_factory=dict)
    links: Links = field(default_factory=Links)


@dataclass(frozen=True, slots=True)
class World:
    """What the engine answers from."""

    plan: Plan
    health: Health
    generation: int

"""From gslb.yaml and its zones to a Configuration, or every problem at once.

Knows: the sections of the file and the order in which they need each other. Refuses to
know: databases, sockets, what a server does with it. Invariant: never raises for anything
in the files; without an error every reference in the Configuration is resolved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gslb.config.calculated import read_members
from gslb.config.check import read_check_defaults, read_checks
from gslb.config.client import read_clients, read_overrides
from gslb.config.control import look_at_reporters
from gslb.config.demand import look_at_demand
from gslb.config.document import read_document
from gslb.config.expectation import read_tests
from gslb.config.flat import as_mapping, read_defaults
from gslb.config.model import OptionsModel
from gslb.config.policy import read_policies
from gslb.config.pool import (
    Surroundings,
    look_at_default_names,
    read_datacenters,
    read_pools,
)
from gslb.config.poolmodel import PoolModel
from gslb.config.report import Report, listing, quote
from gslb.config.review import Parts, review
from gslb.config.setting import read_settings, read_zones_folder
from gslb.config.tree import Entry, Mapping
from gslb.config.zonefolder import Steer, ZoneFolder, read_zones
from gslb.core.setting import Settings
from gslb.core.world import Configuration
from gslb.errors import Problem, Where

SECTIONS: Final = (
    "server",
    "control",
    "zones",
    "geo",
    "probe",
    "events",
    "clients",
    "datacenters",
    "checks",
    "pools",
    "policies",
    "tests",
    "defaults",
)
NOUNS: Final = ("clients", "datacenters", "checks", "pools", "policies")
_DEFAULTS: Final = ("checks", "pools", "policies")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading: `config` is None if any problem is an error.

    `problems` are in the order of the files, gslb.yaml first; those that are `late`, too, are
    warnings at a start only. `zones` is the zones folder and `digests` are those of the files
    read there, by their paths.
    """

    config: Configuration | None
    problems: tuple[Problem, ...]
    zones: str = ""
    digests: dict[str, bytes] = field(default_factory=dict)
    late: frozenset[Problem] = frozenset()


@dataclass(frozen=True, slots=True)
class Copy:
    """Where copies of gslb.yaml and of its zones folder are."""

    file: str
    zones: str


def read_configuration(path: str, copy: Copy | None = None) -> Reading:
    """Read gslb.yaml and the zones it names; problems name the files as `path` does.

    With a `copy`, that is read; its relative paths mean what they do in the folder of `path`.
    """
    report = Report()
    file = copy.file if copy else path
    root = read_document(file, report)
    if root is None:
        return Reading(None, report.problems())
    folder = os.path.dirname(os.path.abspath(path))
    root = _look_at_sections(root, report)
    settings = read_settings(root, folder, report, needs_secrets=copy is None)
    zones, zones_folder = _read_zones(root, path, copy, settings, report)
    given = [key for key in NOUNS if key in root.entries]
    broken = [key for key in given if as_mapping(root.get(key), key, report) is None]
    # Without a whole section, every use of a name in it would be one complaint more.
    config = None if broken else _read_objects(root, settings, zones, folder, report)
    found = sorted(
        (*report.problems(), *zones.problems), key=lambda p: (p.where.file != file, p.where)
    )
    failed = any(problem.severity == "error" for problem in found)
    good = None if failed else config
    return Reading(good, tuple(found), zones_folder, dict(zones.digests), report.late)


def _look_at_sections(root: Mapping, report: Report) -> Mapping:
    """The root less unknown keys; a misspelt section is complained of and read as what it means."""
    sections: dict[str, Entry] = {}
    for key, entry in root.entries.items():
        meant = key if key in SECTIONS else report.nearest(key, SECTIONS)
        if meant != key:
            hint = f"did you mean {quote(meant)}?" if meant else f"known here: {listing(SECTIONS)}"
            report.error(entry.where, "", f"unknown key {quote(key)}", hint)
        if meant and (meant == key or meant not in root.entries):
            sections[meant] = entry
    return Mapping(root.where, sections)


def _read_zones(
    root: Mapping, path: str, copy: Copy | None, settings: Settings, report: Report
) -> tuple[ZoneFolder, str]:
    written = read_zones_folder(root, report)
    if not written:
        return ZoneFolder((), (), ()), ""
    shown = copy.zones if copy else os.path.normpath(os.path.join(os.path.dirname(path), written))
    absolute = os.path.abspath(shown)
    return read_zones(absolute, settings.limits, shown), absolute


def _read_objects(
    root: Mapping, settings: Settings, zones: ZoneFolder, folder: str, report: Report
) -> Configuration:
    """The five nouns and the tests; what is broken is complained of and left out."""
    defaults = _read_defaults(root, report)
    max_scope = settings.geo.max_scope
    geo = root.get("geo")
    overrides = geo.get("overrides") if isinstance(geo, Mapping) else None
    clients = read_clients(root, max_scope, report)
    datacenters = read_datacenters(root, report)
    checks = read_checks(root, defaults["checks"], folder, settings.probe, report)
    around = Surroundings(datacenters, checks, settings.probe.allow)
    look_at_default_names(defaults["pools"], around, report)
    pools = read_pools(root, defaults["pools"], around, report)
    checks = read_members(root, defaults["checks"], checks, pools, report)
    look_at_reporters(root, dict.fromkeys((*pools, *checks)), report)
    book = read_policies(root, defaults["policies"], pools, clients, report)
    good_checks = {name: check for name, check in checks.items() if check is not None}
    good_pools = tuple(pool for pool in pools.values() if pool is not None)
    parts = Parts(
        geo=settings.geo,
        checks=good_checks,
        pools=good_pools,
        clients=clients,
        book=book,
        steers=zones.steers,
        steers_are_known=all(problem.severity == "warning" for problem in zones.problems),
        places=_places(root, ("clients", "datacenters", "checks", "pools")),
    )
    review(parts, report)
    config = Configuration(
        settings=settings,
        zones=zones.zones,
        datacenters={name: home for name, home in datacenters.items() if home is not None},
        checks=good_checks,
        pools=good_pools,
        policies=book.policies,
        clients=clients,
        overrides=read_overrides(overrides, max_scope, report),
        tests=read_tests(root, datacenters, pools, report),
        steered=_longest(zones.steers),
    )
    if not report.failed:  # what is broken would be left out of what is counted
        probe = root.get("probe")
        place = probe.place("concurrency") if isinstance(probe, Mapping) else root.where
        look_at_demand(config, place, report)
    return config


def _longest(steers: Iterable[Steer]) -> dict[str, int]:
    """The policies that STEER records name, and the longest TTL among their records."""
    found: dict[str, int] = {}
    for steer in steers:
        found[steer.policy] = max(steer.ttl, found.get(steer.policy, 0))
    return found


def _read_defaults(root: Mapping, report: Report) -> dict[str, Mapping]:
    """`defaults`, by kind of object; what is wrong in it is left out, so it is said once."""
    table = as_mapping(root.get("defaults"), "defaults", report) or Mapping(root.where)
    for key in table.entries:
        if key not in _DEFAULTS:
            hint = report.suggest(key, _DEFAULTS) or f"known here: {listing(_DEFAULTS)}"
            report.error(table.place(key), "defaults", f"unknown key {quote(key)}", hint)
    given = {
        kind: as_mapping(table.get(kind), f"defaults.{kind}", report) or Mapping(table.where)
        for kind in _DEFAULTS
    }
    pools, policies = given["pools"], given["policies"]
    return {
        "checks": read_check_defaults(given["checks"], report),
        "pools": read_defaults(PoolModel, pools, "defaults.pools", report, frozenset()),
        "policies": read_defaults(OptionsModel, policies, "defaults.policies", report, frozenset()),
    }


def _places(root: Mapping, sections: tuple[str, ...]) -> dict[tuple[str, str], Where]:
    """Where the objects of some sections stand."""
    return {
        (section, entry.key): entry.where
        for section in sections
        if isinstance(table := root.get(section), Mapping)
        for entry in table.entries.values()
    }

"""From files to a Plan: the one way that check, serve, reload and explain share.

Knows: the order of things (configuration, maps, tables, tests) and what is an error when.
Refuses to know: processes, sockets. Invariant: nothing is half loaded; either there is a
whole Plan, or a ConfigError with every problem.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gslb.app.loaded import Loaded
from gslb.config.document import LARGEST
from gslb.config.reader import Copy, read_configuration
from gslb.config.zonesource import digest
from gslb.core.calculated import links_of
from gslb.core.selftest import run_tests
from gslb.core.table import PolicyTable
from gslb.core.target import formulas_of, targets_of
from gslb.core.world import ConfigTest, Configuration, MapInfo, Plan
from gslb.errors import ConfigError, Problem, Where
from gslb.geo.watch import Watch

Progress = Callable[[str], None]
TEST: Final = "test"  # the subject of the problem of a test that fails


def load(
    path: str,
    starting: bool = False,
    progress: Progress | None = None,
    copy: Copy | None = None,
) -> Loaded:
    """Loads gslb.yaml at `path` and everything it names.

    `starting`: failing `tests:` and a missing or broken database or `ca_file` are warnings then,
    because an answer is better than none (config.md). `copy`: what is read instead. Raises
    ConfigError.
    """
    tell = progress or (lambda _: None)
    tell(f"reading {path}")
    before = _digest_of(path)  # before: what is written meanwhile is not what was read
    reading = read_configuration(path, copy)
    read = tuple(
        replace(problem, severity="error") if problem in reading.late and not starting else problem
        for problem in reading.problems
    )
    if reading.config is None:
        raise ConfigError(read)
    loaded = _compile(reading.config, read, lambda _: starting, tell)
    return replace(loaded, zones=reading.zones, files={path: before, **reading.digests})


def _digest_of(path: str) -> bytes:
    """The digest of a file; of one that cannot be read, nobody's."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return digest(file.read(LARGEST))
    except (OSError, ValueError):
        return b""


def remap(previous: Loaded) -> Loaded:
    """The same configuration with the databases as they are now. Raises ConfigError.

    A database that was missing before keeps no other one out.
    """
    known = {replace(problem, severity="error") for problem in previous.late}
    loaded = _compile(
        previous.plan.config,
        previous.read,
        lambda problem: problem in known and problem.subject != TEST,
        lambda _: None,
    )
    return replace(loaded, zones=previous.zones, files=previous.files)


def _compile(
    config: Configuration,
    read: tuple[Problem, ...],
    pardon: Callable[[Problem], bool],
    progress: Progress,
) -> Loaded:
    """Opens the maps, compiles the tables and runs the tests. Raises ConfigError.

    What is wrong with databases and tests, and pardoned, is a warning.
    """
    geo = config.settings.geo
    watch = Watch(path for path in (geo.city, geo.asn) if path is not None)
    tables, maps, broken = _steer(config, progress)
    targets = targets_of(config)
    formulas = formulas_of(config, targets)
    plan = Plan(
        config=config,
        tables=tables,
        maps=maps,
        zones={zone.apex: zone for zone in config.zones},
        targets=targets,
        formulas=formulas,
        links=links_of(formulas),
    )
    if config.tests:
        progress(f"running {len(config.tests)} tests")
    failed = tuple(
        Problem(_place(failure.test), TEST, failure.what, "mend the policy or the test")
        for failure in run_tests(plan)
    )
    late = tuple(
        replace(problem, severity="warning") if pardon(problem) else problem
        for problem in (*broken, *failed)
    )
    loaded = Loaded(plan, read, late, watch)
    if any(problem.severity == "error" for problem in loaded.warnings):
        raise ConfigError(loaded.warnings)
    return loaded


def _steer(
    config: Configuration, progress: Progress
) -> tuple[dict[str, PolicyTable], tuple[MapInfo, ...], tuple[Problem, ...]]:
    """The tables of what is steered, the maps they are made of, and what is wrong with those."""
    geo = config.settings.geo
    if not (geo.city or geo.asn or config.steered):
        return {}, (), ()  # static names only: a start is quicker without numpy and its kin
    from gslb.geo.database import open_maps
    from gslb.geo.survey import survey
    from gslb.geo.treatment import compile_tables

    if geo.city or geo.asn:
        progress("opening the GeoIP databases")
    opened, broken = open_maps(geo)
    maps, worse = survey(opened, config.settings.state)
    progress("compiling the tables")
    return compile_tables(config, maps, config.settings.state), maps.infos, (*broken, *worse)


def _place(test: ConfigTest) -> Where:
    file, line, column = test.place.rsplit(":", 2)
    return Where(file, int(line), int(column))

"""From files to a Plan: the one way that check, serve, reload and explain share.

Knows: the order of things (configuration, maps, tables, tests) and what is an error when.
Refuses to know: processes, sockets. Invariant: nothing is half loaded; either there is a
whole Plan, or a ConfigError with every problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gslb.config.reader import read_configuration
from gslb.core.selftest import run_tests
from gslb.core.target import targets_of
from gslb.core.world import ConfigTest, Configuration, Plan
from gslb.errors import ConfigError, Problem, Where
from gslb.geo.database import open_maps
from gslb.geo.treatment import compile_tables
from gslb.geo.watch import Watch

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan, what the operator may want to mend, and a watch over the databases it used."""

    plan: Plan
    warnings: tuple[Problem, ...]
    watch: Watch


def load(path: str, starting: bool = False, progress: Progress | None = None) -> Loaded:
    """Loads gslb.yaml at `path` and everything it names.

    `starting`: failing `tests:` and a missing or broken database are warnings then, because
    an answer is better than none (config.md). Raises ConfigError.
    """
    tell = progress or (lambda _: None)
    tell(f"reading {path}")
    reading = read_configuration(path)
    if reading.config is None:
        raise ConfigError(reading.problems)
    return compile_plan(reading.config, reading.problems, starting, tell)


def compile_plan(
    config: Configuration,
    problems: tuple[Problem, ...],
    starting: bool,
    progress: Progress = lambda _: None,
) -> Loaded:
    """Opens the maps, compiles the tables and runs the tests. Raises ConfigError."""
    geo = config.settings.geo
    watch = Watch(path for path in (geo.city, geo.asn) if path is not None)
    if geo.city or geo.asn:
        progress("opening the GeoIP databases")
    maps, broken = open_maps(geo)
    progress("compiling the tables")
    tables = compile_tables(config, maps, config.settings.state)
    plan = Plan(
        config=config,
        tables=tables,
        maps=maps.infos,
        zones={zone.apex: zone for zone in config.zones},
        targets=targets_of(config),
    )
    if config.tests:
        progress(f"running {len(config.tests)} tests")
    failed = tuple(
        Problem(_place(failure.test), "test", failure.what, "mend the policy or the test")
        for failure in run_tests(plan)
    )
    late = (*broken, *failed)
    if starting:
        late = tuple(replace(problem, severity="warning") for problem in late)
    found = tuple(sorted((*problems, *late)))
    if any(problem.severity == "error" for problem in found):
        raise ConfigError(found)
    return Loaded(plan, found, watch)


def _place(test: ConfigTest) -> Where:
    file, line, column = test.place.rsplit(":", 2)
    return Where(file, int(line), int(column))

"""Explaining from the files, without a server: everything is up.

Knows: loading in this process. Refuses to know: a running server. Invariant: the answer is
what a server that had just started with these files, and all probes good, would give.
"""

from __future__ import annotations

from gslb.app.load import load
from gslb.app.question import Question, explain_question
from gslb.config.reader import read_configuration
from gslb.core.explain import Explanation
from gslb.core.health import all_unknown
from gslb.core.world import Configuration, World
from gslb.errors import ConfigError
from gslb.geo.database import open_maps
from gslb.geo.locate import Locator


def explain_offline(
    path: str, name: str, rrtype: str, client: str | None, down: tuple[str, ...]
) -> Explanation:
    """The explanation from the files. Raises ConfigError, and ValueError for the question."""
    plan = load(path, starting=True).plan
    world = World(plan, all_unknown(plan.config.pools), 0)
    locate = open_locator(plan.config).locate
    return explain_question(world, Question(name, rrtype, client, down), locate)


def locator(path: str) -> Locator:
    """What the configuration's databases and overrides say of addresses. Raises ConfigError."""
    reading = read_configuration(path)
    if reading.config is None:
        raise ConfigError(reading.problems)
    return open_locator(reading.config)


def open_locator(config: Configuration) -> Locator:
    """What the databases and overrides of a configuration say; a broken one says nothing."""
    maps, _ = open_maps(config.settings.geo)
    return Locator(config, maps)

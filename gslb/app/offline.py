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
from gslb.core.world import World
from gslb.errors import ConfigError
from gslb.geo.locate import Locator


def explain_offline(
    path: str, name: str, rrtype: str, client: str | None, down: tuple[str, ...]
) -> Explanation:
    """The explanation from the files. Raises ConfigError, and ValueError for the question."""
    plan = load(path, starting=True).plan
    world = World(plan, all_unknown(plan.config.pools), 0)
    locator = Locator.open(plan.config)
    try:
        return explain_question(world, Question(name, rrtype, client, down), locator.locate)
    finally:
        locator.close()


def locator(path: str) -> Locator:
    """What the configuration's databases and overrides say of addresses. Raises ConfigError."""
    reading = read_configuration(path)
    if reading.config is None:
        raise ConfigError(reading.problems)
    return Locator.open(reading.config)

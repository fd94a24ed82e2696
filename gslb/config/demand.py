"""Whether probing keeps up when nothing answers: the worst that can come of the checks.

Knows: that a probe without an answer holds one of `probe.concurrency` places for its timeout, so
that a target needs timeout / interval of a place. Refuses to know: schedules, verdicts. Invariant:
only looks; it counts what is probed (core/target.py), each once, and takes no time for a small
configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Final

from gslb.config.report import Report
from gslb.core.check import PROBED, Check
from gslb.core.target import targets_of
from gslb.core.world import Configuration
from gslb.errors import Where

# Less is no matter: when nothing answers any more, a verdict that is half as late again changes
# no answer; beyond that, what is well waits for what is dead, too, when only a part is dead.
TOLERATED: Final = 1.5


def look_at_demand(config: Configuration, where: Where, report: Report) -> None:
    """Warn if probes wait for each other as soon as every target times out."""
    places = config.settings.probe.concurrency
    if _at_most(config) <= places * TOLERATED:
        return
    targets = Counter(target.check for target in targets_of(config))
    probed = {name: n for name, n in targets.items() if config.checks[name].type in PROBED}
    needed = sum(number * _share(config.checks[name]) for name, number in probed.items())
    if needed <= places * TOLERATED:
        return
    usual_s = max(config.checks[name].fall * config.checks[name].interval_s for name in probed)
    what = (
        f"concurrency {places} is too low: if all {sum(probed.values())} targets time out, "
        f"{ceil(needed)} probes are under way; it takes {usual_s * needed / places:.0f} s "
        f"instead of {usual_s:.0f} s until all are down"
    )
    hint = f"set concurrency: {ceil(needed)}, or make timeouts shorter or intervals longer"
    report.warn(where, "probe", what, hint)


def _share(check: Check) -> float:
    """Of a place, what a target takes that does not answer."""
    return check.timeout_s / check.interval_s


def _at_most(config: Configuration) -> float:
    """No less than is needed: as if no pools shared a target. Costs no look at endpoints."""
    shares: dict[str, float] = {}
    return sum(
        2 * len(pool.endpoints) * _share_below(pool.check, config.checks, shares)
        for pool in config.pools
        if pool.check is not None
    )


def _share_below(name: str, checks: Mapping[str, Check], known: dict[str, float]) -> float:
    """The share of a check with all that it counts, each once."""
    if name not in known:
        waiting, seen = [name], {name}
        known[name] = 0.0
        while waiting:
            check = checks[waiting.pop()]
            known[name] += _share(check) if check.type in PROBED else 0.0
            below = {member.name for member in check.of if member.kind == "check"} - seen
            seen |= below
            waiting += below
    return known[name]

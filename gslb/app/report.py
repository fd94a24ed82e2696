"""What the log tells of a running server's plans and verdicts, in words.

Knows: how problems, changes and reasons read. Refuses to know: when they happen. Invariant:
a line says what it is about, and is bounded however much has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

from gslb.app.loaded import Loaded
from gslb.control.body import stamp
from gslb.core.check import Check
from gslb.core.health import State
from gslb.core.policy import Family
from gslb.core.setting import Settings
from gslb.core.trail import Transition
from gslb.core.world import MapInfo, Plan
from gslb.errors import Problem, Where
from gslb.observe.log import ERROR, WARNING, caps, event
from gslb.wire.name import to_text

MOST_CHANGES = 10  # zones that a line names
_LAST_RESORTS = {
    "ignore_probes": "what the probes call down is handed out",
    "ignore_all": "what was drained or forced down is handed out as well",
    "any": "the first pool with an address of the family is handed out",
    "pool": "the pool of when_all_down is handed out",
    "nodata": "the answer is NODATA",
    "servfail": "the answer is SERVFAIL",
}


def report(problems: Iterable[Problem], known: Iterable[Problem] = ()) -> None:
    """One log line for each problem that is not known already."""
    for problem in problems:
        if problem not in known:
            level = ERROR if problem.severity == "error" else WARNING
            event("problem", level=level, text=str(problem))
            if problem.cap:
                caps["cap", problem.cap] += 1


def reason_of(change: Transition, check: Check) -> str:
    """Why a target changed its state, in a few words."""
    reasons = ", ".join(dict.fromkeys(change.reasons))
    if check.type == "calculated":
        return reasons  # they count, whatever came of it
    if change.after is State.DOWN:
        # Of a report there is no row, and what was down before is held.
        fell = check.fall > 1 and check.type != "push" and change.before is not State.DOWN
        return f"{reasons} ({check.fall} in a row)" if fell else reasons
    good = "report" if check.type == "push" else "probe"
    if change.before is State.UNKNOWN:
        return f"the first good {good}"
    in_a_row = check.rise > 1 and check.type != "push"
    again = f"good again ({check.rise} in a row)" if in_a_row else "good again"
    return f"{again}, was: {reasons}" if reasons else again


def difference(old: Plan, new: Plan) -> dict[str, str]:
    """What a new plan brings, for one line: zones by name and serial, databases by build date."""
    before = {zone.apex: zone.serial for zone in old.zones.values()}
    after = {zone.apex: zone.serial for zone in new.zones.values()}
    zones = [
        f"{to_text(apex)} {before.get(apex, 'new')}..{after.get(apex, 'gone')}"
        for apex in sorted(before.keys() | after.keys())
        if before.get(apex) != after.get(apex)
    ]
    if len(zones) > MOST_CHANGES:
        zones[MOST_CHANGES:] = [f"{len(zones) - MOST_CHANGES} more"]
    maps = [f"{info.kind} of {_day(info)}" for info in new.maps if info not in old.maps]
    changes = {"zones": ", ".join(zones), "databases": ", ".join(maps)}
    return {kind: names for kind, names in changes.items() if names}


def _day(info: MapInfo) -> str:
    """When a database was built; the file may say anything."""
    try:
        return f"{datetime.fromtimestamp(info.built, UTC):%Y-%m-%d}"
    except (OverflowError, OSError, ValueError):
        return str(info.built)


def unchangeable(path: str, opened: Settings, wanted: Settings) -> tuple[Problem, ...]:
    """Warnings of what only a restart can change."""
    pairs = {
        "server.listen": (opened.listen, wanted.listen),
        "server.state": (opened.state, wanted.state),
        "server.engine": (opened.engine, wanted.engine),
        "control.listen": (opened.control, wanted.control),
        "control.hosts": (opened.control_hosts, wanted.control_hosts),
    }
    return tuple(
        Problem(Where(path), key, "is as it was at the start", "restart to change it", "warning")
        for key, (now, then) in pairs.items()
        if now != then
    )


def tell_last_good(path: str, loaded: Loaded, errors: int) -> None:
    """The configuration has errors, and an earlier one is served instead."""
    folder = os.path.dirname(loaded.zones)
    try:
        copied = stamp(os.stat(folder).st_mtime)
    except (OSError, OverflowError, ValueError):
        copied = "unknown"
    event(
        "last_good",
        level=ERROR,
        config=path,
        errors=errors,
        serves=folder,
        copied=copied,
        hint="these answers are of the last good configuration; mend the new one and reload",
    )


def tell_fallback(policy: str, family: Family, rule: str) -> None:
    """A policy has nothing available and answers by its last resort, or has again."""
    if rule:
        event(
            "fallback",
            level=WARNING,
            policy=policy,
            family=f"IPv{family}",
            rule=rule,
            why=f"nothing is available; {_LAST_RESORTS.get(rule, rule)}",
        )
    else:
        event("recovery", policy=policy, family=f"IPv{family}", why="something is available")

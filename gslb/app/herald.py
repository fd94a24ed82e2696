"""What the world is told of health: transitions, blindness, certificates that end.

Knows: what is news and what was told before; that a transition is kept for a restart before
anybody hears of it. Refuses to know: how a state comes about, what follows from it. Invariant: one
event for each transition, however often it is heard of; nothing here changes any health.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping

from gslb.app.report import reason_of
from gslb.control.body import stamp
from gslb.control.state import StateStore
from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.kept import keep
from gslb.core.trail import Trail, Transition
from gslb.core.world import Plan
from gslb.observe.log import ERROR, INFO, WARNING, event

A_DAY_S = 86400.0
WARN_OF_EXPIRY_S = 14 * A_DAY_S  # health.md


class Herald:
    """`transitions` counts by (pool, to). `clock` is monotonic, `wall` gives Unix seconds."""

    def __init__(
        self, store: StateStore, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.blind_since: float | None = None  # Unix seconds
        self._store = store
        self._clock, self._wall = clock, wall
        self._told: dict[Target, float] = {}  # the transition at
        self._warned: dict[Target, tuple[float, float]] = {}  # of an expiry at, told at

    def take_up(self, trails: Mapping[Target, Trail]) -> None:
        """What was told before a restart is no news."""
        for target, trail in trails.items():
            if trail.transition is not None:
                self._told[target] = trail.transition.at

    def forget(self, watched: Container[Target]) -> None:
        """All targets but these are gone."""
        self._told = {target: at for target, at in self._told.items() if target in watched}

    def tell(self, plan: Plan, trails: Mapping[Target, Trail]) -> None:
        """What changed its state is kept, and one event each."""
        told: list[tuple[Target, Trail, Transition]] = []
        for target, trail in trails.items():
            change = trail.transition
            if change is not None and self._told.get(target) != change.at:
                told.append((target, trail, change))
        if not told:
            return
        wall, now = self._wall(), self._clock()
        # First of all: who is killed in the next moment has to know it when it is back.
        self._store.keep_health(keep(target, trail, now, wall) for target, trail, _ in told)
        for target, _, change in told:
            before_s = self._told.get(target)
            self._told[target] = change.at
            self._tell_transition(plan, target, change, before_s)

    def _tell_transition(
        self, plan: Plan, target: Target, change: Transition, before_s: float | None
    ) -> None:
        config, slots = plan.config, plan.targets.get(target, ())
        pools = sorted({config.pools[slot.pool].name for slot in slots})
        to = change.after.name.lower()
        for name in pools if change.before is not change.after else ():
            self.transitions[name, to] += 1
        event(
            "transition",
            level=WARNING if change.after is State.DOWN else INFO,
            check=target.check,
            address=target.address,
            port=target.port,
            pools=",".join(pools),
            **{"from": change.before.name.lower()},
            to=to,
            why=reason_of(change, config.checks[target.check]),
            **({} if before_s is None else {"after_s": round(change.at - before_s, 1)}),
        )

    def tell_blind(self, why: str) -> None:
        """Why the prober is blind from now on; "": it sees again."""
        if why:
            self.blind_since = self._wall()
            kept = "every verdict stays as it is, answers go on"
            event("blind", level=ERROR, **{"from": "seeing"}, to="blind", why=why, kept=kept)
            return
        since, self.blind_since = self.blind_since, None
        lasted = {} if since is None else {"after_s": round(self._wall() - since, 1)}
        event("blind", level=WARNING, **{"from": "blind"}, to="seeing", why="seen again", **lasted)

    def tell_expiries(self, certificates: Mapping[Target, float]) -> None:
        """A warning event, once a day, for each certificate that expires within 14 days;
        `certificates` has the Unix seconds at which each does."""
        now = self._wall()
        for target, at in certificates.items():
            left_s = at - now
            told = self._warned.get(target)
            if left_s > WARN_OF_EXPIRY_S or (told and told[0] == at and now - told[1] < A_DAY_S):
                continue
            self._warned[target] = (at, now)
            event(
                "certificate",
                level=WARNING,
                check=target.check,
                address=target.address,
                port=target.port,
                expires=stamp(at),
                why=f"it expires in {left_s / A_DAY_S:.1f} d" if left_s > 0 else "it has expired",
            )
        self._warned = {t: told for t, told in self._warned.items() if t in certificates}

"""What the HTTP API asks of the running server (control/operation.py), done and told.

Knows: which object a name means, what an order needs besides its form, how overrides, targets and
events look as bodies. Refuses to know: HTTP, tokens. Invariant: an order is in force before it is
kept, and kept before it is acknowledged; what is read changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from itertools import islice

from gslb.app.hand import NOT_KEPT
from gslb.app.outlook import Outlook
from gslb.app.roster import Roster
from gslb.control.body import (
    BlindBody,
    ChangeBody,
    ClearedBody,
    EventBody,
    EventsBody,
    HealthBody,
    LoadBody,
    OverrideBody,
    OverrideOrder,
    OverridesBody,
    ReportBody,
    ReportOrder,
    TargetBody,
)
from gslb.control.operation import AnyKind, By
from gslb.control.state import StateStore
from gslb.core.check import Target
from gslb.core.kept import Happening
from gslb.core.object import find_object
from gslb.core.override import Override, caches_empty_at, has_begun, real_state
from gslb.core.trail import Result
from gslb.core.world import World

A_SLICE = 25  # targets of one piece of /v1/health: a millisecond
ALREADY_OUT = "it is out already and stays so: no lead"


class Desk:
    """The calls of control.md that need the server's objects."""

    def __init__(
        self,
        world: Callable[[], World],
        outlook: Outlook,
        store: StateStore,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._world = world
        self._outlook = outlook
        self._store = store
        self._clock, self._wall = clock, wall

    # ---- overrides --------------------------------------------------------------------

    async def list_overrides(self) -> OverridesBody:
        """Every override, in the order in which they were set."""
        return OverridesBody(
            overrides=tuple(self._body(each) for each in self._outlook.hand.overrides),
            kept=not self._store.problem,
            problem=self._store.problem or None,
        )

    async def set_override(
        self, kind: AnyKind, name: str, order: OverrideOrder, by: By
    ) -> ChangeBody:
        """Sets an override, or replaces it. Raises LookupError and ValueError."""
        found, canonical = find_object(self._world().plan.config, kind, name)
        now = self._wall()
        before = self._outlook.hand.find(found, canonical)
        # Said again (to reach another server, say), a lead must not bring back what is out.
        is_out = before is not None and before.state != "up" and has_begun(before, now)
        begins = now if is_out else now + order.lead_s
        until = order.ends_at(now)
        override = Override(found, canonical, order.state, by.name, order.why, now, begins, until)
        kept = await self._outlook.hand.put(override, by.source)
        told = [ALREADY_OUT] if is_out and order.lead_s else []
        told += [] if (lost := self._warning(kept)) is None else [lost]
        warning = "; ".join(told) or None
        return ChangeBody(override=self._body(override), kept=kept, warning=warning)

    async def clear_override(self, kind: AnyKind, name: str, why: str, by: By) -> ClearedBody:
        """Ends an override, if there is one. Raises LookupError if there is no such object
        either, ValueError for an ambiguous name."""
        override = self._find(kind, name)
        if override is None:
            return ClearedBody(cleared=None, kept=True, warning=None)
        cleared = self._body(override)
        kept = await self._outlook.clear(override, by.name, why, by.source)
        return ClearedBody(cleared=cleared, kept=kept, warning=self._warning(kept))

    def _find(self, kind: AnyKind, name: str) -> Override | None:
        """The override that an object has, be the object still there or not."""
        hand = self._outlook.hand
        matches = [
            each for each in hand.overrides if each.name == name and kind in (each.kind, "object")
        ]
        if len(matches) == 1:
            return matches[0]
        return hand.find(*find_object(self._world().plan.config, kind, name))

    def _body(self, override: Override) -> OverrideBody:
        config = self._world().plan.config
        return OverrideBody(
            kind=override.kind,
            name=override.name,
            state=override.state,
            who=override.who,
            why=override.why,
            at=override.at,
            effective_at=override.effective_at,
            until=override.until,
            real=real_state(config, self._outlook.health, override),
            caches_empty_at=caches_empty_at(config, override),
        )

    def _warning(self, kept: bool) -> str | None:
        return None if kept else NOT_KEPT + (self._store.problem or "it could not be written")

    # ---- reports ----------------------------------------------------------------------

    def report_load(self, pool: str, load: float, by: By) -> LoadBody:
        """Takes a pool's load (1.0 is full). Raises LookupError and ValueError."""
        find_object(self._world().plan.config, "pool", pool)
        self._outlook.pace.report(pool, load)
        return LoadBody(pool=pool, load=load, share=self._outlook.pace.share_of(pool))

    def report_check(self, check: str, address: str, report: ReportOrder, by: By) -> ReportBody:
        """Takes the report of a push check; `address` is canonical. Raises LookupError and
        ValueError."""
        plan = self._world().plan
        known = plan.config.checks.get(check)
        if known is None:
            close = get_close_matches(check, plan.config.checks, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise LookupError(f'no check "{check}"{hint}')
        if known.type != "push":
            raise ValueError(f'check "{check}" is of type {known.type}; only push takes reports')
        if not known.enabled:
            raise ValueError(f'check "{check}" is not enabled: a report changes nothing')
        target = Target(check, address, 0)
        if target not in plan.targets:
            raise LookupError(f'check "{check}" has no endpoint {address}')
        ok = (report.state == "up") is not known.invert
        told = f"reported {report.state} by {by.name}" + (f": {report.why}" if report.why else "")
        if known.invert:
            told += ", and invert is set"
        result = Result(ok, "" if ok else told, None, self._clock())
        self._outlook.monitor.report(target, result)
        return ReportBody(check=check, address=address, state=report.state, targets=1)

    # ---- what is known ----------------------------------------------------------------

    def health(self) -> tuple[HealthBody, Iterator[tuple[TargetBody, ...]]]:
        """The body without targets, and the targets in slices of about 1 ms of work each."""
        outlook = self._outlook
        blind = None
        if outlook.blind_since is not None:
            blind = BlindBody(why=outlook.monitor.blind, since=outlook.blind_since)
        return HealthBody(at=self._wall(), blind=blind), self._targets()

    def _targets(self) -> Iterator[tuple[TargetBody, ...]]:
        plan = self._world().plan
        roster = Roster(plan, self._outlook, self._clock(), self._wall())
        rest = iter(plan.targets)
        while some := tuple(islice(rest, A_SLICE)):
            yield tuple(body for body in map(roster.body, some) if body is not None)

    async def events(self, after: int | None, limit: int) -> EventsBody:
        """At most `limit` events with an id above `after`, oldest first; None: the newest."""
        found = await self._store.events(after, limit)
        last = found[-1].id if found else after or 0
        return EventsBody(events=tuple(map(_event, found)), last=last)


def _event(happening: Happening) -> EventBody:
    return EventBody(
        id=happening.id,
        at=happening.at,
        kind=happening.kind,
        object=happening.object,
        before=happening.before,
        after=happening.after,
        why=happening.why,
        who=happening.who,
    )

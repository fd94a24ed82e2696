"""What can be asked of a running server, and by whom: the other side of the HTTP API.

Knows: the calls, their bodies, their errors. Refuses to know: HTTP, the World. Invariant: whoever
implements it runs in the serving loop; LookupError says that there is no such object (404),
ValueError that it cannot be done as ordered (400), both in words for whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from gslb.control.body import (
    ChangeBody,
    ClearedBody,
    EventsBody,
    HealthBody,
    LoadBody,
    OverrideOrder,
    OverridesBody,
    ReportBody,
    ReportOrder,
    TargetBody,
)
from gslb.core.override import ObjectKind

AnyKind = ObjectKind | Literal["object"]  # "object": whatever has that name, if only one has


@dataclass(frozen=True, slots=True)
class By:
    """Who orders something: the name of the token, and the address it came from."""

    name: str
    source: str


class Operations(Protocol):
    """The calls of control.md that need the server's objects."""

    async def list_overrides(self) -> OverridesBody:
        """Every override, in the order in which they were set."""

    async def set_override(
        self, kind: AnyKind, name: str, order: OverrideOrder, by: By
    ) -> ChangeBody:
        """Sets an override, or replaces it. Raises LookupError and ValueError.

        `order.ends_at(now)` and `order.lead_s` are its times.
        """

    async def clear_override(self, kind: AnyKind, name: str, why: str, by: By) -> ClearedBody:
        """Ends an override, if there is one. Raises LookupError if there is no such object
        either, ValueError for an ambiguous name."""

    def health(self) -> tuple[HealthBody, Iterator[tuple[TargetBody, ...]]]:
        """The body without targets, and the targets in slices of about 1 ms of work each.

        Others get their turn between two slices. A slice may be empty; a target that is gone
        meanwhile is left out.
        """

    def report_load(self, pool: str, load: float, by: By) -> LoadBody:
        """Takes a pool's load (1.0 is full). Raises LookupError and ValueError."""

    def report_check(self, check: str, address: str, report: ReportOrder, by: By) -> ReportBody:
        """Takes the report of a push check; `address` is canonical. Raises LookupError and
        ValueError."""

    async def events(self, after: int | None, limit: int) -> EventsBody:
        """At most `limit` events with an id above `after`, oldest first; None: the newest."""

"""Operations in memory: a small server with two pools, for the tests of the HTTP API."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gslb.control.body import (
    BlindBody,
    ChangeBody,
    ClearedBody,
    EndpointBody,
    EventBody,
    EventsBody,
    EvidenceBody,
    HealthBody,
    LatencyBody,
    LoadBody,
    OverrideBody,
    OverrideOrder,
    OverridesBody,
    ReportBody,
    ReportOrder,
    TargetBody,
)
from gslb.control.http import Control, Suppliers
from gslb.control.operation import AnyKind, By
from gslb.core.override import ObjectKind
from gslb.core.setting import Role, Token

NOW = 1_795_007_200.0  # 2026-11-18T13:06:40Z
OBJECTS: dict[str, ObjectKind] = {
    "fra": "datacenter",
    "web-fra": "pool",
    "web-iad": "pool",
    "192.0.2.10": "endpoint",
    "2001:db8::1": "endpoint",
    "a/b {c}%": "endpoint",
}
PUSHED = {("backup", "192.0.2.10"): 2, ("backup", "2001:db8::1"): 1}


def target(number: int) -> TargetBody:
    """One of many targets; every third is down."""
    is_down = number % 3 == 0
    evidence = EvidenceBody(at=NOW, before="up", after="down", reasons=("connect refused",))
    return TargetBody(
        check="web",
        type="http",
        address=f"10.0.{number // 256}.{number % 256}",
        port=8080,
        state="down" if is_down else "up",
        since=NOW,
        held=False,
        endpoints=(EndpointBody(pool="web-fra", endpoint=f"web-{number}", forced=None),),
        latency=LatencyBody(ewma_s=0.1, min_s=0.05, mean_s=0.1, p95_s=0.2),
        load=0.5 if number % 2 else None,
        load_at=NOW if number % 2 else None,
        certificate_expires=NOW if number % 5 == 0 else None,
        evidence=evidence if is_down else None,
        failing=("connect refused",) if is_down else (),
    )


@dataclass
class Desk:
    """What was ordered, by whom; `orders` has a line for each."""

    overrides: dict[tuple[str, str], OverrideBody] = field(default_factory=dict)
    orders: list[tuple[object, ...]] = field(default_factory=list)
    targets: int = 3
    a_slice: int = 50
    blind: BlindBody | None = None
    kept: bool = True
    happened: int = 250
    before_slice: Callable[[], None] = lambda: None

    async def list_overrides(self) -> OverridesBody:
        problem = None if self.kept else "disk full"
        return OverridesBody(
            overrides=tuple(self.overrides.values()), kept=self.kept, problem=problem
        )

    async def set_override(
        self, kind: AnyKind, name: str, order: OverrideOrder, by: By
    ) -> ChangeBody:
        found = self._find(kind, name)
        body = OverrideBody(
            kind=found,
            name=name,
            state=order.state,
            who=by.name,
            why=order.why,
            at=NOW,
            effective_at=NOW + order.lead_s,
            until=order.ends_at(NOW),
            real="2 of 3 up",
            caches_empty_at=NOW + order.lead_s + 30 if order.state == "drain" else None,
        )
        self.overrides[found, name] = body
        self.orders.append(("set", found, name, by))
        return ChangeBody(override=body, kept=self.kept, warning=None)

    async def clear_override(self, kind: AnyKind, name: str, why: str, by: By) -> ClearedBody:
        found = self._find(kind, name)
        if (found, name) not in self.overrides:
            return ClearedBody(cleared=None, kept=True, warning=None)
        self.orders.append(("clear", found, name, why, by))
        return ClearedBody(cleared=self.overrides.pop((found, name)), kept=True, warning=None)

    def _find(self, kind: AnyKind, name: str) -> ObjectKind:
        if name == "both":
            raise ValueError('"both" is ambiguous; say datacenter/both or pool/both')
        found = OBJECTS.get(name)
        if found is None or kind not in ("object", found):
            raise LookupError(f'no {kind} "{name}"; did you mean "web-fra"?')
        return found

    def health(self) -> tuple[HealthBody, Iterator[tuple[TargetBody, ...]]]:
        def slices() -> Iterator[tuple[TargetBody, ...]]:
            for start in range(0, self.targets, self.a_slice):
                self.before_slice()
                yield tuple(map(target, range(start, min(start + self.a_slice, self.targets))))
                yield ()

        return HealthBody(at=NOW, blind=self.blind), slices()

    def report_load(self, pool: str, load: float, by: By) -> LoadBody:
        if OBJECTS.get(pool) != "pool":
            raise LookupError(f'no pool "{pool}"')
        self.orders.append(("load", pool, load, by))
        return LoadBody(pool=pool, load=load, share=100)

    def report_check(self, check: str, address: str, report: ReportOrder, by: By) -> ReportBody:
        if check == "web":
            raise ValueError('check "web" is of type http; only a push check takes reports')
        if (check, address) not in PUSHED:
            raise LookupError(f"no push check {check} of {address}")
        self.orders.append(("check", check, address, report.state, report.why, by))
        targets = PUSHED[check, address]
        return ReportBody(check=check, address=address, state=report.state, targets=targets)

    async def events(self, after: int | None, limit: int) -> EventsBody:
        first = max(1, self.happened - limit + 1) if after is None else after + 1
        found = tuple(
            EventBody(
                id=number,
                at=NOW + number,
                kind="override",
                object="pool/web-fra",
                before="none",
                after="drain",
                why="",
                who="me",
            )
            for number in range(first, min(first + limit, self.happened + 1))
        )
        return EventsBody(events=found, last=found[-1].id if found else after or 0)


def token(name: str, role: Role, *only: str) -> Token:
    """A token whose text is its name and 's."""
    return Token(name, role, hashlib.sha256(f"{name}'s".encode()).digest(), only)


TOKENS = (
    token("me", "operate"),
    token("prometheus", "read"),
    token("agent", "report", "web-fra", "backup"),
)


@asynccontextmanager
async def serving(
    desk: Desk | None, suppliers: Suppliers, **options: int
) -> AsyncIterator[tuple[str, int]]:
    """The address of a control address with these operations."""
    control = Control(
        ("127.0.0.1", 0), (), replace(suppliers, operations=desk), tokens=TOKENS, **options
    )
    address = await control.start()
    try:
        yield address
    finally:
        await control.stop()
        await asyncio.sleep(0)


def request(
    method: str, path: str, octets: bytes = b"", *more: str, length: int | None = None
) -> bytes:
    """A request of the operator's as it goes over the wire, with more header lines."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        "Authorization: Bearer me's",
        "Content-Type: application/json",
        f"Content-Length: {len(octets) if length is None else length}",
        "Connection: close",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + octets

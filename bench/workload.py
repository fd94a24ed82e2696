"""The kinds of traffic, and what gslb has to reach beside gdnsd in each.

Knows: which questions make a workload. Refuses to know: how they are sent. Adding one is adding a
row to `WORKLOADS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.question import CLIENT_COOKIE, SEED, absent_names, client_subnets, query
from bench.world import STATIC_NAMES, STEERED, static_name


@dataclass(frozen=True, slots=True)
class Workload:
    """`queries` gives the ready messages in the order they are sent; every answer has `rcode`.

    They are given the cookie that the server has handed out, if the workload `learns` it.
    `target`: gslb's queries per second are at least this share of gdnsd's; None promises none.
    """

    name: str
    what: str
    queries: Callable[[bytes], Iterable[bytes]]
    rcode: str = "NOERROR"
    target: float | None = None
    learns: bool = False


def static_names() -> list[str]:
    """Every static name once, in a fixed random order."""
    names = [static_name(number) for number in range(STATIC_NAMES)]
    random.Random(SEED).shuffle(names)
    return names


def static_queries(cookie: bytes) -> Iterable[bytes]:
    """A query for every static name, each with the cookie."""
    return (query(name, cookie=cookie) for name in static_names())


WORKLOADS = (
    Workload("geo", "a steered name, no client subnet", lambda _: [query(STEERED)]),
    Workload(
        "geo-ecs",
        "a steered name, 200 000 random client subnets",
        lambda _: (query(STEERED, subnet) for subnet in client_subnets()),
        target=0.5,
    ),
    Workload("static", "10 000 static names", lambda _: static_queries(b""), target=0.4),
    Workload(
        "nxdomain",
        "200 000 random names that do not exist",
        lambda _: map(query, absent_names()),
        "NXDOMAIN",
        target=0.25,
    ),
    Workload(
        "cookie-first",
        "static names, each query with a client cookie alone",
        lambda _: static_queries(CLIENT_COOKIE),
    ),
    Workload(
        "cookie",
        "static names, each query with the cookie that the server has given",
        static_queries,
        learns=True,
    ),
)

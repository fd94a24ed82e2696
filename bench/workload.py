"""The kinds of traffic, and what gslb has to reach beside gdnsd in each.

Knows: which questions make a workload. Refuses to know: how they are sent. Adding one is adding a
row to `WORKLOADS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.question import SEED, absent_names, client_subnets, query
from bench.world import STATIC_NAMES, STEERED, static_name


@dataclass(frozen=True, slots=True)
class Workload:
    """`queries` gives the ready messages in the order they are sent; every answer has `rcode`.

    `target`: gslb's queries per second are at least this share of gdnsd's; None promises none.
    """

    name: str
    what: str
    queries: Callable[[], Iterable[bytes]]
    rcode: str
    target: float | None = None


def static_names() -> list[str]:
    """Every static name once, in a fixed random order."""
    names = [static_name(number) for number in range(STATIC_NAMES)]
    random.Random(SEED).shuffle(names)
    return names


WORKLOADS = (
    Workload("geo", "a steered name, no client subnet", lambda: [query(STEERED)], "NOERROR"),
    Workload(
        "geo-ecs",
        "a steered name, 200 000 random client subnets",
        lambda: (query(STEERED, subnet) for subnet in client_subnets()),
        "NOERROR",
        0.5,
    ),
    Workload("static", "10 000 static names", lambda: map(query, static_names()), "NOERROR", 0.4),
    Workload(
        "nxdomain",
        "200 000 random names that do not exist",
        lambda: map(query, absent_names()),
        "NXDOMAIN",
        0.25,
    ),
)

"""Random trees over six pools, and random health of these, for what holds for all of them."""

from __future__ import annotations

from gslb.core.decide import Branch, Offer
from gslb.core.health import AddressHealth, Health, PoolHealth, State
from gslb.core.policy import (
    Child,
    Failover,
    Nearest,
    Node,
    PoolNode,
    RoundRobin,
    Route,
    Routes,
    Sticky,
    Weighted,
)
from hypothesis import strategies as st

from sample import FRA, endpoint, pool

# One address of each pool is shared with the pool after it.
SIX = tuple(
    pool(
        n,
        f"p{n}",
        endpoint(f"192.0.2.{n + 1}", f"2001:db8::{n + 1}"),
        endpoint(f"192.0.2.{n + 2}"),
        datacenter=FRA,
    )
    for n in range(6)
)
LEAVES = tuple(PoolNode(n, one) for n, one in enumerate(SIX))

Tree = tuple[Node, dict[int, tuple[int, ...]]]


class Tape:
    """Choices read off octets: hypothesis draws all of these at once, in a tenth of the time.

    When it has run out everything is the first choice, which is the simplest.
    """

    def __init__(self, octets: bytes) -> None:
        self._octets = iter(octets)

    def below(self, count: int) -> int:
        return next(self._octets, 0) % count

    def order(self, count: int) -> tuple[int, ...]:
        left = list(range(count))
        return tuple(left.pop(self.below(len(left))) for _ in range(count))


def trees(fences: bool = True) -> st.SearchStrategy[Tree]:
    """A tree over six pools, and a treatment that fits it."""
    return st.binary(min_size=128, max_size=128).map(lambda octets: grow(Tape(octets), fences))


def grow(tape: Tape, fences: bool) -> Tree:
    """The tree that a tape says."""
    counter = iter(range(1000, 9999))
    treatment: dict[int, tuple[int, ...]] = {}

    def node(depth: int) -> Node:
        if depth == 0 or tape.below(8) == 0:
            return LEAVES[tape.below(6)]
        number = next(counter)
        size = 1 + tape.below(3)
        kind = tape.below(6)
        below = tuple(Child(f"c{n}", node(depth - 1)) for n in range(size))
        weights = tuple(tape.below(4) for _ in below)
        match kind:
            case 0:
                return Failover(number, below)
            case 1:
                return RoundRobin(number, below)
            case 2:
                return Weighted(number, below, weights)
            case 3:
                return Sticky(number, below, weights, "p")
            case 4:
                treatment[number] = tape.order(size)
                return Nearest(number, below, (0,) * size)
            case _:
                group = [Route("g", child, fences and tape.below(2) == 1) for child in below[:-1]]
                treatment[number] = (*tape.order(size - 1), size - 1)
                return Routes(number, (*group, Route(None, below[-1])))

    return node(3), treatment


# Any state of any address, forced or not, leaving or not, back since long or not.
ADDRESSES = tuple(
    AddressHealth(state, forced, leaving=leaving, ramp=ramp)
    for leaving in [False] * 9 + [True]
    for forced in ("", "", "", "up", "down", "drain")
    for ramp in (100, 100, 10, 55)
    for state in State
)


def healths() -> st.SearchStrategy[Health]:
    """A state for each of the 24 addresses, from two octets."""
    return st.binary(min_size=48, max_size=48).map(health_of)


def health_of(octets: bytes) -> Health:
    pairs = zip(octets[::2], octets[1::2], strict=True)
    each = iter([ADDRESSES[(high << 8 | low) % len(ADDRESSES)] for high, low in pairs])
    return Health(
        tuple(PoolHealth(1, (next(each), next(each)), (next(each), next(each))) for _ in SIX)
    )


SHED = st.frozensets(st.integers(0, 5))
RESORTS = st.sampled_from(["serve_all", "nodata", "servfail", "pool"])


def offers(branch: Branch | None) -> list[Offer]:
    """Every pool that a draw could end at."""
    if branch is None:
        return []
    if isinstance(branch, Offer):
        return [branch]
    return [offer for child in branch.branches for offer in offers(child)]

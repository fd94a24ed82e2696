"""The exact networks of the configuration laid over one another (compile.md, The treatment).

Knows: `clients:` networks, `geo.overrides` and special-purpose ranges, and which of them
contain an address. Refuses to know: databases. Invariant: networks are nested or disjoint,
so one sweep with a stack suffices; context 0 is "in none of them".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gslb.core.client import V4_BITS, V6_BITS, Network, named_networks
from gslb.core.policy import Family
from gslb.core.world import Configuration
from gslb.geo.span import Span
from gslb.geo.special import SPECIAL

NO_OVERRIDE: Final = -1


@dataclass(frozen=True, slots=True)
class Context:
    """Which exact networks contain an address.

    `networks` are those of client groups; `override` is the number of the narrowest
    override; `special` is true in special-purpose ranges that neither of them covers.
    """

    networks: frozenset[Network] = frozenset()
    override: int = NO_OVERRIDE
    special: bool = False


@dataclass(frozen=True, slots=True)
class Contexts:
    """Both families cut where the context changes; the values number `all`."""

    ipv4: Span
    ipv6: Span
    all: tuple[Context, ...]


def contexts_of(config: Configuration) -> Contexts:
    """The contexts of both families."""
    named = named_networks(config.clients.values())
    overrides = {override.network: number for number, override in enumerate(config.overrides)}
    numbers: dict[Context, int] = {Context(): 0}

    def sweep(family: Family, bits: int) -> Span:
        laid = {*named, *overrides, *SPECIAL}
        cuts = _sweep(network for network in laid if network.family == family)
        stacked = (_context(stack, named, overrides) for stack in cuts.values())
        values = [numbers.setdefault(context, len(numbers)) for context in stacked]
        return Span(bits, np.array(list(cuts), np.uint64), np.array(values, np.int64)).merged()

    return Contexts(sweep(4, V4_BITS), sweep(6, V6_BITS), tuple(numbers))


def _context(
    stack: tuple[Network, ...], named: frozenset[Network], overrides: dict[Network, int]
) -> Context:
    """`stack` holds the networks around a range, the widest first."""
    networks = frozenset(network for network in stack if network in named)
    override = NO_OVERRIDE
    for network in stack:
        override = overrides.get(network, override)
    covered = bool(networks) or override != NO_OVERRIDE
    return Context(networks, override, bool(stack) and not covered)


def _sweep(networks: Iterable[Network]) -> dict[int, tuple[Network, ...]]:
    """First address of each range -> the networks around it, the widest first; begins with 0."""
    cuts: dict[int, tuple[Network, ...]] = {0: ()}
    stack: list[Network] = []

    def leave(before: int | None) -> None:
        """Go out of the networks that end before an address (None: out of all)."""
        while stack and (before is None or stack[-1].last < before):
            gone = stack.pop()
            if gone.last + 1 < 1 << gone.bits:
                cuts[gone.last + 1] = tuple(stack)

    for network in sorted(networks, key=lambda network: (network.first, network.length)):
        leave(network.first)
        stack.append(network)
        cuts[network.first] = tuple(stack)
    leave(None)
    return cuts

"""Compiles policies and maps into tables: which treatment each address gets (compile.md).

Knows: how the choices of a policy's nodes become treatments, that all policies are projections
of one master table, and how much memory their own tables may take. Refuses to know: health,
files. Invariant: two addresses have the same treatment number if and only if every `routes`
and every `nearest` of the policy tries its branches in the same order for both.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gslb.core.policy import Nearest, Policy, Routes, is_sticky, places_below, walk
from gslb.core.table import PolicyTable, RangeTable, uniform_table
from gslb.core.world import Configuration
from gslb.errors import ConfigError
from gslb.geo.choice import Choice, Distances, Order, match_rows, rank_rows
from gslb.geo.database import Maps
from gslb.geo.ground import Ground, lay
from gslb.geo.master import Master
from gslb.geo.span import Flags, Numbers, Span, octets, pack_values
from gslb.geo.survey import survey

STICKY_LEAST: Final = (24, 56)

Orders = tuple[Order, ...]  # one for each choosing node of a policy


def compile_tables(
    config: Configuration, maps: Maps, cache_dir: str | None
) -> dict[str, PolicyTable]:
    """The table of every steered policy, by name.

    `maps` may have been surveyed already; if not, a database that turns out broken raises
    ConfigError. `cache_dir`: where atlases are cached if not beside their database.
    """
    policies = [policy for name, policy in config.policies.items() if name in config.steered]
    looking = [policy for policy in policies if _choosing(policy) or is_sticky(policy.node)]
    tables = {policy.name: uniform_table({}) for policy in policies}
    if looking:
        if len(maps.atlases) < len(maps.databases):
            maps, problems = survey(maps, cache_dir)
            if problems:
                raise ConfigError(problems)
        tables |= _compile(config, looking, lay(config, maps))
    return tables


@dataclass(frozen=True, slots=True)
class _Shape:
    """A policy without its names, as policies of the same signature share it.

    `orders[n]` is what treatment n means; `len(orders)` is the number of uncovered
    special-purpose addresses; `unknown` that of a client of whom nothing is known.
    """

    orders: tuple[Orders, ...]
    unknown: int
    sticky: bool


def _compile(
    config: Configuration, policies: list[Policy], ground: Ground
) -> dict[str, PolicyTable]:
    shapes: dict[Hashable, _Shape] = {}
    sketcher = _Sketcher(config, ground)
    master = Master(len(ground.rows) + len(ground.blocks))
    for policy in policies:
        signature = _signature(policy)
        if signature not in shapes:
            shapes[signature], column = sketcher.sketch(policy)
            master.add(column)
    press = _Press(
        ground.ipv4.mapped(master.numbers).merged(),
        ground.ipv6.mapped(master.numbers).merged(),
        config.settings.geo.table_memory,
    )
    printed = {
        signature: press.draw(shape, projection)
        for (signature, shape), projection in zip(shapes.items(), master.projections(), strict=True)
    }
    return {policy.name: _named(policy, *printed[_signature(policy)]) for policy in policies}


def _choosing(policy: Policy) -> list[Nearest | Routes]:
    return [node for node in walk(policy.node) if isinstance(node, Nearest | Routes)]


def _signature(policy: Policy) -> Hashable:
    """Equal for policies that tell the same clients apart in the same way."""
    return is_sticky(policy.node), tuple(_node_signature(node) for node in _choosing(policy))


def _node_signature(node: Nearest | Routes) -> Hashable:
    if isinstance(node, Routes):
        return tuple(route.group for route in node.routes)
    places = tuple(places_below(child.node) for child in node.children)
    return places, node.bias, node.max_km


def _named(policy: Policy, table: PolicyTable, orders: tuple[Orders, ...]) -> PolicyTable:
    """The table with its orders under the ids of this policy's nodes."""
    ids = [node.id for node in _choosing(policy)]
    treatments = tuple(dict(zip(ids, meant, strict=True)) for meant in orders)
    return replace(table, treatments=treatments)


class _Sketcher:
    """Works out what a policy makes of every row; equal nodes are worked out once."""

    def __init__(self, config: Configuration, ground: Ground) -> None:
        self._clients = config.clients
        self._ground = ground
        self._distances = Distances(ground.rows.points)
        self._choices: dict[Hashable, Choice] = {}

    def sketch(self, policy: Policy) -> tuple[_Shape, Numbers]:
        """The shape, and the number of each row and block."""
        rows, blocks = self._ground.rows, self._ground.blocks
        numbers = np.zeros(len(rows), np.int64)
        orders: list[Orders] = [()]
        for node in _choosing(policy):
            choice = self._choice(node)
            wide = len(choice.orders)
            codes, numbers = np.unique(numbers * wide + choice.numbers, return_inverse=True)
            pairs = (divmod(code, wide) for code in codes.tolist())
            orders = [(*orders[before], choice.orders[number]) for before, number in pairs]
        numbers[rows.special] = len(orders)
        shape = _Shape(tuple(orders), int(numbers[0]), is_sticky(policy.node))
        return shape, np.concatenate((numbers, blocks.majority(numbers)))

    def _choice(self, node: Nearest | Routes) -> Choice:
        signature = _node_signature(node)
        if signature not in self._choices:
            rows = self._ground.rows
            self._choices[signature] = (
                rank_rows(node, rows, self._distances)
                if isinstance(node, Nearest)
                else match_rows(node, self._clients, rows)
            )
        return self._choices[signature]


class _Press:
    """Makes tables of projections, within the memory that they may take together."""

    def __init__(self, ipv4: Span, ipv6: Span, memory: int) -> None:
        self._ipv4, self._ipv6 = ipv4, ipv6
        self._left = memory
        self._shared: tuple[RangeTable, RangeTable] | None = None

    def draw(self, shape: _Shape, projection: Numbers) -> tuple[PolicyTable, tuple[Orders, ...]]:
        """The table (still without treatments), and what its treatment numbers mean."""
        count = len(shape.orders)
        ipv4, ipv6 = (s.mapped(projection).merged() for s in (self._ipv4, self._ipv6))
        shares = np.stack([span.shares(count + 1) for span in (ipv4, ipv6)])[:, :count]
        occurs: Flags = np.max(shares, axis=0) > 0
        occurs[shape.unknown] = True
        orders = tuple(meant for meant, there in zip(shape.orders, occurs, strict=True) if there)
        if len(orders) == 1 and not shape.sticky:
            return uniform_table({}), orders
        # Treatments that only a part of a block would have had do not occur: renumber.
        slim = np.append(np.cumsum(occurs) - 1, len(orders))
        several = [int((family > 0).sum()) > 1 for family in shares]
        first, second, mapping = self._tables(
            ipv4.mapped(slim), ipv6.mapped(slim), slim[projection]
        )
        table = PolicyTable(
            treatments=(),
            unknown=int(slim[shape.unknown]),
            special=len(orders),
            ipv4=first,
            ipv6=second,
            mapping=mapping,
            least=STICKY_LEAST if shape.sticky else (int(several[1]), int(several[0])),
            shares=(tuple(shares[0][occurs].tolist()), tuple(shares[1][occurs].tolist())),
        )
        return table, orders

    def _tables(
        self, ipv4: Span, ipv6: Span, mapping: Numbers
    ) -> tuple[RangeTable, RangeTable, Sequence[int] | None]:
        """The policy's own tables while memory lasts, else the master's and a mapping."""
        own = ipv4.table(), ipv6.table()
        taken = sum(octets(table.starts) + octets(table.values) for table in own)
        if taken <= self._left:
            self._left -= taken
            return *own, None
        if self._shared is None:
            self._shared = self._ipv4.table(), self._ipv6.table()
        return *self._shared, pack_values(mapping)

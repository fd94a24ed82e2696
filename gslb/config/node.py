"""The nodes of a policy, parsed by hand from the tree, names resolved on the way.

Knows: how each node is written (config.md, "A policy node is one of") and the one
namespace of pools and policies. Refuses to know: a policy's options, zones, health.
Invariant: what comes out has no cycle and no unknown name, and is small enough to be
walked by recursion (DEEPEST) and exhaustively (LARGEST); a policy used inside another is
the same object, and so is a pool's leaf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import Final, TypeGuard

from gslb.config.flat import comes_later
from gslb.config.model import MAX_WEIGHT, OptionsModel
from gslb.config.report import Report, listing, quote
from gslb.config.route import RouteReader
from gslb.config.scalar import show
from gslb.config.tree import Mapping, Scalar, Sequence, Tree, plain
from gslb.core.client import ClientGroup
from gslb.core.policy import (
    Child,
    Failover,
    Nearest,
    Node,
    Pool,
    PoolNode,
    RoundRobin,
    Routes,
    Sticky,
    Weighted,
    children_of,
)
from gslb.errors import Where

DEEPEST: Final = 32  # nodes from a policy to its farthest pool
LARGEST: Final = 100_000  # nodes of a policy written out in full
LARGEST_ALL: Final = 1_000_000  # nodes of all policies written out, one used as is not counted
MAX_BIAS: Final = 99

OPTIONS: Final = frozenset(OptionsModel.model_fields)
CHOICES: Final = ("failover", "round_robin", "weighted", "nearest", "sticky", "routes")
LATER_CHOICES: Final = frozenset(("fastest",))
_BESIDE_NEAREST: Final = ("bias", "max_km")
_CHOICE_HINT: Final = f"one of {', '.join(CHOICES)}"


class NodeReader:
    """Reads the nodes of all policies; each problem is said of the policy whose text has it.

    `places` tells by node id the policy and the place a node stands in, `fences` the place of
    a fence by node id and index of the route; `used` are the names that some policy names.
    """

    def __init__(
        self,
        texts: dict[str, Tree],
        pools: dict[str, Pool | None],
        clients: dict[str, ClientGroup],
        report: Report,
    ) -> None:
        self.clients = clients
        self.report = report
        self.places: dict[int, tuple[str, Where]] = {}
        self.fences: dict[tuple[int, int], Where] = {}
        self.used: set[str] = set()
        self._texts = texts
        self._pools = pools
        self._leaves: dict[str, PoolNode] = {}
        self._policies: dict[str, Node | None] = {}
        self._path: list[str] = []
        self._depth = 0
        self._total = 0
        self._extents: dict[int, tuple[int, int]] = {}  # depth and size, by node id

    def read_policy(self, name: str) -> Node | None:
        """The node of a policy, read once; None after complaining."""
        if name not in self._policies:
            self._path.append(name)
            first_new = len(self.places)
            child = self.read_child(self._texts[name])
            if child is not None and child.node.id >= first_new:
                self._total += self._extents[child.node.id][1]
                if self._total > LARGEST_ALL:
                    what = f"all policies have more than {LARGEST_ALL} nodes when written out"
                    child = self._refuse(self._texts[name].where, what)
            self._path.pop()
            self._policies[name] = None if child is None else child.node
        return self._policies[name]

    def read_child(self, tree: Tree) -> Child | None:
        """A node wherever one may stand: a name, a list, or a mapping with one choice."""
        if self._depth == 2 * DEEPEST:  # names and nodes alternate
            return self._refuse(tree.where, f"nested deeper than {DEEPEST} nodes")
        self._depth += 1
        try:
            match tree:
                case Scalar() if tree.text and not tree.is_null:
                    return self._read_name(tree.text, tree.where)
                case Scalar():
                    return self._refuse(tree.where, "does not say how to choose", _CHOICE_HINT)
                case Sequence():
                    return self._read_choice("failover", tree, Mapping(tree.where))
                case Mapping():
                    return self._read_mapping(tree)
        finally:
            self._depth -= 1

    def fail(self, where: Where, what: str, hint: str = "") -> None:
        """Complain of the policy whose text is being read."""
        self.report.error(where, f"policy {quote(self._path[-1])}", what, hint)

    def _refuse(self, where: Where, what: str, hint: str = "") -> Child | None:
        self.fail(where, what, hint)
        return None

    def _read_name(self, name: str, where: Where) -> Child | None:
        self.used.add(name)
        if name in self._pools:
            pool = self._pools[name]
            if pool is None:
                return None
            if name not in self._leaves:
                leaf = PoolNode(len(self.places), pool)
                self._leaves[name] = leaf
                self._remember(leaf, where)
            return Child(name, self._leaves[name])
        if name in self._path:
            cycle = [*self._path[self._path.index(name) :], name]
            what = f"policies in a circle: {' → '.join(cycle)}"
            return self._refuse(where, what, "take one of the names out")
        if name in self._texts:
            node = self.read_policy(name)
            return None if node is None else Child(name, node)
        known = (other for other in chain(self._pools, self._texts) if other not in self._path)
        hint = self.report.suggest(name, known)
        return self._refuse(where, f"unknown pool {quote(name)}", hint)

    def _read_mapping(self, table: Mapping) -> Child | None:
        chosen = [key for key in table.entries if key in CHOICES]
        later = [key for key in table.entries if key in LATER_CHOICES]
        for key in later:
            comes_later(table.place(key), f"policy {quote(self._path[-1])}", key, self.report)
        if not (chosen or later) and self._are_names(table):
            hint = "write { weighted: { NAME: WEIGHT, … } }"
            return self._refuse(table.where, "does not say how to choose among its names", hint)
        allowed = {*chosen, *later, *(_BESIDE_NEAREST if "nearest" in chosen else ())}
        for key in table.entries:
            if key not in allowed:
                self._complain_of_key(table.place(key), key)
        if len(chosen) + len(later) > 1:
            both = listing(quote(key) for key in (*chosen, *later))
            return self._refuse(table.where, f"chooses more than once: {both}", "keep one of them")
        if not chosen:
            if not table.entries:
                self.fail(table.where, "does not say how to choose", _CHOICE_HINT)
            return None
        entry = table.entries[chosen[0]]
        return self._read_choice(entry.key, entry.value, table)

    def _are_names(self, table: Mapping) -> bool:
        return bool(table.entries) and table.entries.keys() <= {*self._pools, *self._texts}

    def _complain_of_key(self, where: Where, key: str) -> None:
        if key in OPTIONS:
            self.fail(
                where, f"{quote(key)} stands inside a node", "put it beside the policy's node"
            )
        elif key in _BESIDE_NEAREST:
            self.fail(where, f"{quote(key)} without nearest", "it belongs beside `nearest:`")
        else:
            hint = self.report.suggest(key, (*CHOICES, *_BESIDE_NEAREST, *OPTIONS))
            self.fail(where, f"unknown key {quote(key)}", hint or _CHOICE_HINT)

    def _read_choice(self, choice: str, tree: Tree, table: Mapping) -> Child | None:
        made: Callable[[int], Node] | None
        match choice:
            case "failover":
                made = self._read_plain(tree, Failover)
            case "round_robin":
                made = self._read_plain(tree, RoundRobin)
            case "weighted":
                made = self._read_weighted(tree)
            case "nearest":
                made = self._read_nearest(tree, table)
            case "sticky":
                made = self._read_sticky(tree)
            case _:
                made = self._read_routes(tree)
        if made is None:
            return None
        node = made(len(self.places))
        if not self._remember(node, tree.where):
            return None
        return Child(choice, node)

    def _remember(self, node: Node, where: Where) -> bool:
        """Keep a node's place; False if it is too deep or too large to be walked."""
        self.places[node.id] = self._path[-1], where
        below = [self._extents[child.node.id] for child in children_of(node)]
        depth = 1 + max((deep for deep, _ in below), default=0)
        size = 1 + sum(large for _, large in below)
        self._extents[node.id] = depth, size
        if depth > DEEPEST:
            self.fail(where, f"nested deeper than {DEEPEST} nodes")
        elif size > LARGEST:
            self.fail(where, f"more than {LARGEST} nodes when written out")
        return depth <= DEEPEST and size <= LARGEST

    # The readers below take what stands under the choosing key and give a maker of the
    # node, which gets its id last: children have lower ids than their parent.

    def _read_plain(
        self, tree: Tree, kind: type[Failover] | type[RoundRobin]
    ) -> Callable[[int], Node] | None:
        children = self._read_list(tree)
        return (lambda number: kind(number, children)) if children else None

    def _read_nearest(self, tree: Tree, table: Mapping) -> Callable[[int], Node] | None:
        children = self._read_list(tree)
        named = {child.name: 0 for child in children}
        bias = table.get("bias")
        if bias is not None and not isinstance(bias, Mapping):
            self.fail(bias.where, f"bias: {show(plain(bias))} is not a mapping", "as {web-fra: 10}")
        for entry in bias.entries.values() if isinstance(bias, Mapping) else ():
            if entry.key not in named:
                if children:
                    hint = self.report.suggest(entry.key, named)
                    self.fail(entry.where, f"bias: unknown child {quote(entry.key)}", hint)
                continue
            value = plain(entry.value)
            if not _is_int(value) or not -MAX_BIAS <= value <= MAX_BIAS:
                what = f"bias of {quote(entry.key)}: {show(value)} is out of range"
                self.fail(entry.value.where, what, "a whole number from -99 to 99")
            else:
                named[entry.key] = value
        max_km = self._read_max_km(table.get("max_km"))
        biases = tuple(named[child.name] for child in children)
        return (lambda number: Nearest(number, children, biases, max_km)) if children else None

    def _read_routes(self, tree: Tree) -> Callable[[int], Node] | None:
        reader = RouteReader(self.clients, self.read_child, self.fail, self.report)
        routes = reader.read(self._items(tree, "write [{ from: GROUP, to: NODE }, { to: NODE }]"))

        def make(number: int) -> Node:
            for index, (_, fence) in enumerate(routes):
                if fence is not None:
                    self.fences[number, index] = fence
            return Routes(number, tuple(route for route, _ in routes))

        return make if routes else None

    def _read_max_km(self, tree: Tree | None) -> float:
        if tree is None:
            return 0.0
        value = plain(tree)
        if isinstance(value, float) or _is_int(value):
            kilometres = float(value)
            if math.isfinite(kilometres) and kilometres > 0:
                return kilometres
        self.fail(tree.where, f"max_km: {show(value)} is no distance", "write kilometres, as 2500")
        return 0.0

    def _read_weighted(self, tree: Tree) -> Callable[[int], Node] | None:
        read = self._read_weights(tree) if isinstance(tree, Mapping) else self._read_shares(tree)
        if not self._weights_are_good(tree, [weight for _, weight in read]):
            return None
        children = tuple(child for child, _ in read if child is not None)
        weights = tuple(weight for child, weight in read if child is not None)
        return (lambda number: Weighted(number, children, weights)) if children else None

    def _read_sticky(self, tree: Tree) -> Callable[[int], Node] | None:
        if isinstance(tree, Mapping):
            read = self._read_weights(tree)
        else:
            items = self._items(tree)
            read = [(self._read_sticky_name(item), 1) for item in items]
            self._refuse_twins(items)
        if not self._weights_are_good(tree, [weight for _, weight in read]):
            return None
        children = tuple(child for child, _ in read if child is not None)
        weights = tuple(weight for child, weight in read if child is not None)
        policy = self._path[-1]
        return (lambda number: Sticky(number, children, weights, policy)) if children else None

    def _refuse_twins(self, items: tuple[Tree, ...]) -> None:
        seen: set[str] = set()
        for item in items:
            if isinstance(item, Scalar):
                if item.text in seen:
                    what = f"sticky: {quote(item.text)} stands twice"
                    self.fail(item.where, what, "write it once")
                seen.add(item.text)

    def _read_sticky_name(self, item: Tree) -> Child | None:
        if isinstance(item, Scalar):
            return self.read_child(item)
        return self._refuse(
            item.where, "sticky: a child without a name", "make it a policy, name it"
        )

    def _read_weights(self, table: Mapping) -> list[tuple[Child | None, int]]:
        """`{ a: 90, b: 10 }`."""
        return [
            (
                self.read_child(Scalar(entry.where, entry.key, plain=False)),
                self._read_weight(entry.value),
            )
            for entry in table.entries.values()
        ]

    def _read_shares(self, tree: Tree) -> list[tuple[Child | None, int]]:
        """`[ {to: NODE, weight: N}, … ]`."""
        read: list[tuple[Child | None, int]] = []
        items = self._items(tree, "write { web-fra: 90, web-iad: 10 }")
        bare = [item for item in items if not isinstance(item, Mapping)]
        if bare:  # said once: the others are probably the same mistake
            what = f"weighted: {show(plain(bare[0]))} has no weight"
            hint = "write { NAME: WEIGHT, … }, or { to: NODE, weight: N }"
            self.fail(bare[0].where, what, hint)
        for item in items:
            if not isinstance(item, Mapping):
                continue
            unknown = [key for key in item.entries if key not in ("to", "weight")]
            for key in unknown:
                hint = self.report.suggest(key, ("to", "weight"))
                self.fail(item.place(key), f"weighted: unknown key {quote(key)}", hint)
            to, weight = item.get("to"), item.get("weight")
            if to is not None and weight is not None:
                read.append((self.read_child(to), self._read_weight(weight)))
            elif not unknown:
                missing = "to" if to is None else "weight"
                self.fail(item.where, f"weighted: {quote(missing)} is missing")
        return read

    def _read_weight(self, tree: Tree) -> int:
        value = plain(tree)
        if _is_int(value) and 0 <= value <= MAX_WEIGHT:
            return value
        hint = f"a whole number from 0 to {MAX_WEIGHT}"
        self.fail(tree.where, f"weight {show(value)} is out of range", hint)
        return 1

    def _weights_are_good(self, tree: Tree, weights: list[int]) -> bool:
        if not weights and isinstance(tree, Mapping):
            self.fail(tree.where, "no children", "name at least one")
        elif weights and not any(weights):
            self.fail(tree.where, "all weights are 0", "give one child a weight")
        return any(weights)

    def _read_list(self, tree: Tree) -> tuple[Child, ...]:
        """A list of nodes, less the broken ones."""
        read = [self.read_child(item) for item in self._items(tree)]
        return tuple(child for child in read if child is not None)

    def _items(self, tree: Tree, hint: str = "") -> tuple[Tree, ...]:
        if not isinstance(tree, Sequence):
            if not hint and isinstance(tree, Scalar) and not tree.is_null:
                hint = f"write [{tree.text}]"
            self.fail(tree.where, f"{show(plain(tree))} is not a list", hint)
            return ()
        if not tree.items:
            self.fail(tree.where, "no children", "name at least one")
        return tree.items


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

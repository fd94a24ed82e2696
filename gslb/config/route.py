"""The routes of one `routes:` node.

Knows: `from`, `to`, `fence`, the catch-all, and that no network, AS number or code may
lead two ways. Refuses to know: how a target is read. Invariant: the catch-all is there
and last, or it was complained of.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gslb.config.report import Report, quote
from gslb.config.scalar import show
from gslb.config.tree import Mapping, Scalar, Tree, plain
from gslb.core.client import ClientGroup, Element, Kind, Network
from gslb.core.policy import Child, Route
from gslb.errors import Where

_KEYS: Final = ("from", "to", "fence")

Fail = Callable[[Where, str, str], None]


class RouteReader:
    """Reads one list of routes. `fail` complains of the policy that the list stands in."""

    def __init__(
        self,
        clients: dict[str, ClientGroup],
        read_child: Callable[[Tree], Child | None],
        fail: Fail,
        report: Report,
    ) -> None:
        self._clients = clients
        self._read_child = read_child
        self._fail = fail
        self._report = report
        # Where an element leads: number of the route, its target as written, its fence.
        self._leads: dict[Element, tuple[int, object, bool]] = {}

    def read(self, items: tuple[Tree, ...]) -> list[tuple[Route, Where | None]]:
        """The good routes, each with the place of its fence if it has one."""
        tables = [item for item in items if isinstance(item, Mapping)]
        routes = [
            self._read_route(number, item)
            for number, item in enumerate(items, 1)
            if isinstance(item, Mapping)
        ]
        if len(tables) == len(items):
            self._look_for_catch_all(tables)
        else:  # said once: the others are probably the same mistake
            bare = next(item for item in items if not isinstance(item, Mapping))
            what = f"{show(plain(bare))} is not a route"
            self._fail(bare.where, what, "write { from: GROUP, to: NODE }")
        return [route for route in routes if route is not None]

    def _read_route(self, number: int, item: Mapping) -> tuple[Route, Where | None] | None:
        unknown = [key for key in item.entries if key not in _KEYS]
        for key in unknown:
            hint = self._report.suggest(key, _KEYS)
            self._fail(item.place(key), f"route {number}: unknown key {quote(key)}", hint)
        fence = self._read_fence(number, item)
        target = item.get("to")
        if target is None:
            if not unknown:
                self._fail(item.where, f'route {number}: "to" is missing', "")
            return None
        group = self._read_group(number, item, plain(target), fence)
        child = self._read_child(target)
        if child is None:
            return None
        return Route(group, child, fence), item.place("fence") if fence else None

    def _read_fence(self, number: int, item: Mapping) -> bool:
        tree = item.get("fence")
        value = False if tree is None else plain(tree)
        if isinstance(value, bool):
            return value
        if tree is not None:
            what = f"route {number}: fence: {show(value)} is not true or false"
            self._fail(tree.where, what, "")
        return False

    def _read_group(self, number: int, item: Mapping, target: object, fence: bool) -> str | None:
        tree = item.get("from")
        if tree is None:
            return None
        if not isinstance(tree, Scalar) or tree.is_null:
            hint = "`from` is one group's name; leave it out for the catch-all"
            self._fail(tree.where, f"route {number}: from: {show(plain(tree))} is no group", hint)
            return None
        if tree.text not in self._clients:
            hint = self._report.suggest(tree.text, self._clients)
            self._fail(tree.where, f"unknown client group {quote(tree.text)}", hint)
            return None
        self._look_for_clashes(tree, (number, target, fence))
        return tree.text

    def _look_for_clashes(self, tree: Scalar, lead: tuple[int, object, bool]) -> None:
        """Say once what of the group an earlier route leads elsewhere."""
        elements = self._clients[tree.text].elements
        firsts = [(element, self._leads.setdefault(element, lead)) for element in elements]
        clashes = [(element, first) for element, first in firsts if first[1:] != lead[1:]]
        for element, (number, target, _) in clashes[:1]:
            more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
            differs = "to" if target != lead[1] else "fence"
            what = f"{_name(element)}{more} is in route {number} too, with a different {differs}"
            self._fail(tree.where, what, "take it out of one of the client groups")

    def _look_for_catch_all(self, tables: list[Mapping]) -> None:
        catch_alls = [table for table in tables if "from" not in table.entries]
        if tables and not catch_alls:
            hint = "end with { to: NODE }, a route without `from`"
            self._fail(tables[-1].where, "routes without a catch-all", hint)
        for table in catch_alls:
            # An unknown key was complained of and may be a misspelt `from`.
            if table is not tables[-1] and table.entries.keys() <= {*_KEYS}:
                hint = "move it to the end" if len(catch_alls) == 1 else "keep only the last"
                self._fail(table.where, "the catch-all route is not the last", hint)


def _name(element: Element) -> str:
    match element.kind:
        case Kind.NETWORK if element.network is not None:
            return f"network {_network_text(element.network)}"
        case Kind.ASN:
            return f"AS{element.asn}"
        case Kind.CONTINENT:
            return f"continent:{element.code}"
        case _:
            return element.code


def _network_text(network: Network) -> str:
    if network.family == 4:
        return f"{IPv4Address(network.first)}/{network.length}"
    return f"{IPv6Address(network.first << 64)}/{network.length}"

"""How to choose: `policies:`, each a node (node.py) and the options beside it.

Knows: the options, their defaults, and that a policy's name is not a pool's. Refuses to
know: zones and which policies they name. Invariant: a policy in the book is right in
itself; the book keeps the places that later complaints need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from gslb.config.flat import named, read_flat
from gslb.config.model import OptionsModel
from gslb.config.node import OPTIONS, NodeReader
from gslb.config.pool import LAST_RESORTS
from gslb.config.report import Report, quote
from gslb.config.tree import Mapping, Tree
from gslb.core.client import ClientGroup
from gslb.core.policy import LastResort, Policy, Pool
from gslb.errors import Where

_NONE: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Book:
    """The policies of the file, and where their parts stand.

    `places`: of the names; `options`: of each option that a policy says itself; `nodes`: the
    policy and the place by node id; `fences`: by node id and index of the route. `used`: the
    names that policies name; `resorts`: the policies for which somebody said `when_all_down`.
    `is_whole`: nothing was wrong, so that what is not used is used by nobody.
    """

    policies: dict[str, Policy] = field(default_factory=dict)
    places: dict[str, Where] = field(default_factory=dict)
    options: dict[str, dict[str, Where]] = field(default_factory=dict)
    nodes: dict[int, tuple[str, Where]] = field(default_factory=dict)
    fences: dict[tuple[int, int], Where] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    resorts: set[str] = field(default_factory=set)
    is_whole: bool = True


def read_policies(
    root: Mapping,
    defaults: Mapping,
    pools: dict[str, Pool | None],
    clients: dict[str, ClientGroup],
    report: Report,
) -> Book:
    """The policies of the file, less the broken ones."""
    errors_before = report.errors
    entries = named(root, "policies", "policy", report)
    texts = {entry.key: _without_options(entry.value) for entry in entries}
    reader = NodeReader(texts, pools, clients, report)
    book = Book(nodes=reader.places, fences=reader.fences, used=reader.used)
    for entry in entries:
        name = entry.key
        if name in pools:
            hint = "pools and policies share one namespace: rename one"
            report.error(entry.where, f"policy {quote(name)}", "there is a pool of this name", hint)
        own = _options(entry.value)
        book.places[name] = entry.where
        book.options[name] = {key: own.place(key) for key in own.entries}
        node = reader.read_policy(name)
        whole = own.over(defaults)
        if "when_all_down" in whole.entries:
            book.resorts.add(name)
        options = _read_options(name, whole, pools, texts, report)
        if node is None or options is None:
            continue
        if options.when_all_down not in LAST_RESORTS:
            book.used.add(options.when_all_down)
        book.policies[name] = Policy(
            name,
            node,
            options.answers,
            options.take,
            _last_resort(options.when_all_down),
            pools.get(options.when_all_down),
            options.ttl_min,
            options.ecs,
        )
    book.is_whole = report.errors == errors_before
    return book


def _read_options(
    name: str,
    table: Mapping,
    pools: dict[str, Pool | None],
    texts: dict[str, Tree],
    report: Report,
) -> OptionsModel | None:
    subject = f"policy {quote(name)}"
    options = read_flat(OptionsModel, table, subject, report, _NONE)
    if options is None:
        return None
    resort = options.when_all_down
    if resort in LAST_RESORTS or resort in pools:
        return options
    hint = report.suggest(resort, chain(LAST_RESORTS, pools))
    if resort in texts:
        hint = "it is a policy, and when_all_down names a pool"
    where = table.get("when_all_down") or table
    report.error(where.where, subject, f"unknown pool {quote(resort)}", hint)
    return None


def _options(tree: Tree) -> Mapping:
    return tree.only(OPTIONS) if isinstance(tree, Mapping) else Mapping(tree.where)


def _without_options(tree: Tree) -> Tree:
    return tree.without(*OPTIONS) if isinstance(tree, Mapping) else tree


def _last_resort(text: str) -> LastResort:
    match text:
        case "serve_all" | "nodata" | "servfail":
            return text
        case _:
            return "pool"

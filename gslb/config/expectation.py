"""`tests:`: what the operator expects of the configuration.

Knows: how a test is written. Refuses to know: how it is run. Invariant: what a test names
exists, its subject is an address or a network, its addresses are of the type it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from ipaddress import ip_address
from typing import Final

from gslb.config.flat import as_mapping, read_flat
from gslb.config.model import ExpectationModel
from gslb.config.report import Report, quote
from gslb.config.scalar import ScalarError, read_address, show
from gslb.config.tree import Mapping, Scalar, Sequence, Tree, place_of, plain
from gslb.core.policy import DataCenter, Pool
from gslb.core.world import ConfigTest
from gslb.wire.rrtype import AAAA, A

_OCTETS: Final = {A: 4, AAAA: 16}
_NONE: Final[frozenset[str]] = frozenset()


def read_tests(
    root: Mapping,
    datacenters: Map[str, DataCenter | None],
    pools: Map[str, Pool | None],
    report: Report,
) -> tuple[ConfigTest, ...]:
    """The tests of the file, less the broken ones."""
    tree = root.get("tests")
    if tree is None or (isinstance(tree, Scalar) and tree.is_null):
        return ()
    if not isinstance(tree, Sequence):
        report.error(tree.where, "", f"tests: {show(plain(tree))} is not a list")
        return ()
    objects = _objects(datacenters, pools)
    tests: list[ConfigTest] = []
    for number, item in enumerate(tree.items, 1):
        subject = f"test {number}"
        table = as_mapping(item, subject, report)
        if table is not None and (test := _read_test(table, subject, objects, report)) is not None:
            tests.append(test)
    return tuple(tests)


def _read_test(
    table: Mapping, subject: str, objects: dict[str, list[str]] | None, report: Report
) -> ConfigTest | None:
    model = read_flat(ExpectationModel, table, subject, report, _NONE)
    if model is None:
        return None
    if objects is not None:
        _look_at_down(table.get("down"), subject, objects, report)
    if model.expect is None and model.expect_any is None:
        report.error(table.where, subject, "expects nothing", "add `expect:` or `expect_any:`")
    name, rrtype = model.question
    return ConfigTest(
        name,
        rrtype,
        model.subject,
        model.down,
        _addresses(table, "expect", model.expect, rrtype, subject, report),
        _addresses(table, "expect_any", model.expect_any, rrtype, subject, report),
        str(table.where),
    )


def _addresses(
    table: Mapping,
    key: str,
    texts: tuple[str, ...] | None,
    rrtype: int,
    subject: str,
    report: Report,
) -> frozenset[bytes] | None:
    if texts is None:
        return None
    for index, text in enumerate(texts):
        if len(ip_address(text).packed) != _OCTETS[rrtype]:
            where = place_of(table, (key, index), key=False)
            kind = "AAAA" if rrtype == AAAA else "A"
            report.error(where, subject, f"{key}: {text} is no answer to a question for {kind}")
    return frozenset(ip_address(text).packed for text in texts)


def _objects(
    datacenters: Map[str, DataCenter | None], pools: Map[str, Pool | None]
) -> dict[str, list[str]] | None:
    """What `down` may name: `fra`, `datacenter/fra`, … each with what it could mean.

    None if a pool is broken: its endpoints are not known, and naming one is no mistake.
    """
    if None in pools.values():
        return None
    found: dict[str, set[str]] = {}
    endpoints = {
        name
        for pool in pools.values()
        if pool is not None
        for endpoint in pool.endpoints
        for packed in (endpoint.ipv4, endpoint.ipv6)
        for name in (endpoint.name, "" if packed is None else str(ip_address(packed)))
        if name
    }
    for kind, names in (("datacenter", datacenters), ("pool", pools), ("endpoint", endpoints)):
        for name in names:
            full = f"{kind}/{name}"
            found.setdefault(name, set()).add(full)
            found.setdefault(full, set()).add(full)
    return {name: sorted(meanings) for name, meanings in found.items()}


def _look_at_down(
    tree: Tree | None, subject: str, objects: dict[str, list[str]], report: Report
) -> None:
    for item in tree.items if isinstance(tree, Sequence) else (tree,):
        if not isinstance(item, Scalar):
            continue
        meanings = objects.get(item.text) or objects.get(_canonical(item.text), [])
        if not meanings:
            what = f"down: unknown object {quote(item.text)}"
            report.error(item.where, subject, what, report.suggest(item.text, objects))
        elif len(meanings) > 1:
            what = f"down: {quote(item.text)} could be {' or '.join(meanings)}"
            report.error(item.where, subject, what, "write one of them")


def _canonical(text: str) -> str:
    """An object's text with its address as `ipaddress` writes it."""
    kind, slash, rest = text.rpartition("/")
    try:
        return kind + slash + str(read_address(rest))
    except ScalarError:
        return text

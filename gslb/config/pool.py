"""What is handed out and where it lives: `datacenters:` and `pools:`.

Knows: endpoints, weights, and what may be probed (core/probing.py). Refuses to know:
policies. Invariant: a pool has endpoints, no address twice, and a name that no word of
`when_all_down` has.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Final

from gslb.config.flat import as_mapping, named, read_flat
from gslb.config.model import DataCenterModel
from gslb.config.poolmodel import EndpointModel, PoolModel
from gslb.config.report import Report, quote
from gslb.config.scalar import ScalarError, read_address, show, unquoted_hint
from gslb.config.tree import Entry, Mapping, Scalar, Sequence, Tree, place_of, plain
from gslb.core.check import Check
from gslb.core.policy import DataCenter, Endpoint, Pool, Shed
from gslb.core.probing import forbid, refusal

LEAST_INTERVAL_S: Final = 1.0
LAST_RESORTS: Final = ("serve_all", "nodata", "servfail")
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pool may name. A value of None is an object that exists and is broken."""

    datacenters: dict[str, DataCenter | None]
    checks: dict[str, Check | None]
    allow: tuple[str, ...]


def read_datacenters(root: Mapping, report: Report) -> dict[str, DataCenter | None]:
    """The data centers of the file; None for a broken one."""
    found: dict[str, DataCenter | None] = {}
    for entry in named(root, "datacenters", "data center", report):
        subject = f"data center {quote(entry.key)}"
        found[entry.key] = None
        if (table := as_mapping(entry.value, subject, report)) is None:
            continue
        if (model := read_flat(DataCenterModel, table, subject, report, _NONE)) is not None:
            found[entry.key] = DataCenter(entry.key, model.at, model.capacity)
    return found


def look_at_default_names(defaults: Mapping, around: Surroundings, report: Report) -> None:
    """Complain of what `defaults.pools` names and is not there, whether or not a pool takes it."""
    for key, noun, known in (
        ("datacenter", "data center", around.datacenters.keys()),
        ("check", "check", around.checks.keys()),
    ):
        tree = defaults.get(key)
        name = tree.value if isinstance(tree, Scalar) else None
        if tree is not None and isinstance(name, str) and name not in known:
            report.unknown(tree.where, "defaults.pools", noun, name, known)


def read_pools(
    root: Mapping, defaults: Mapping, around: Surroundings, report: Report
) -> dict[str, Pool | None]:
    """The pools of the file; None for a broken one."""
    found: dict[str, Pool | None] = {}
    for entry in named(root, "pools", "pool", report):
        reader = _PoolReader(entry, around, report)
        found[entry.key] = reader.read(len(found), defaults)
    return found


class _PoolReader:
    """Reads one pool."""

    def __init__(self, entry: Entry, around: Surroundings, report: Report) -> None:
        self._entry = entry
        self._around = around
        self._report = report
        self._subject = f"pool {quote(entry.key)}"

    def read(self, index: int, defaults: Mapping) -> Pool | None:
        name = self._entry.key
        if name in LAST_RESORTS:
            self._error(self._entry, f"{quote(name)} is a word of when_all_down", "rename the pool")
        table = as_mapping(self._entry.value, self._subject, self._report)
        if table is None:
            return None
        whole = table.without("endpoints").over(defaults)
        beside = ("endpoints",)
        model = read_flat(PoolModel, whole, self._subject, self._report, _NONE, beside)
        check = None
        if model is not None and self._known(whole, "check", model.check, self._around.checks):
            check = self._around.checks[model.check or ""]
        endpoints = self._read_endpoints(table, check)
        if model is None or not endpoints:
            return None
        value, written = model.min_healthy.value, table.get("endpoints")
        number = len(written.items) if isinstance(written, Sequence) else 0
        if not model.min_healthy.percent and value > number:
            what = f"min_healthy {value} is above the number of endpoints, {number}"
            where = whole.place("min_healthy")
            self._report.error(where, self._subject, what)
        datacenter = None
        if self._known(whole, "datacenter", model.datacenter, self._around.datacenters):
            datacenter = self._around.datacenters[model.datacenter or ""]
        self._look_at_idle(table, model)
        return Pool(
            index,
            name,
            endpoints,
            datacenter,
            model.check,
            model.min_healthy,
            model.pick,
            model.panic,
            model.ramp,
            self._read_shed(whole, model),
            model.manual_resume,
        )

    def _read_shed(self, table: Mapping, model: PoolModel) -> Shed | None:
        shed, tree = model.shed, table.get("shed")
        if shed is None or tree is None:
            return None
        if shed.low >= shed.high:
            what = f"shed: low {shed.low:g} is not below high {shed.high:g}"
            where = place_of(tree, ("low",), key=False)
            self._report.error(where, self._subject, what, "swap them, or raise high")
        if shed.interval < LEAST_INTERVAL_S:
            where = place_of(tree, ("interval",), key=False)
            what = "shed: interval is below 1s"
            self._report.error(where, self._subject, what, "write 1s or more")
        return Shed(shed.low, shed.high, shed.interval)

    def _look_at_idle(self, table: Mapping, model: PoolModel) -> None:
        """What is asked of this very pool and needs a check to do anything."""
        wanted = {
            "panic": model.panic is not None,
            "ramp": model.ramp > 0,
            "manual_resume": model.manual_resume,
        }
        for key, is_wanted in wanted.items():
            if is_wanted and model.check is None and key in table.entries:
                what = f"{key} does nothing in a pool without a check"
                self._report.warn(table.place(key), self._subject, what, "write `check:`")

    def _known(
        self,
        table: Mapping,
        key: str,
        name: str | None,
        known: dict[str, DataCenter | None] | dict[str, Check | None],
    ) -> bool:
        if name is None or name in known:
            return name is not None
        tree = table.get(key)
        noun = "data center" if key == "datacenter" else key
        where = table.where if tree is None else tree.where
        self._report.unknown(where, self._subject, noun, name, known.keys())
        return False

    def _read_endpoints(self, table: Mapping, check: Check | None) -> tuple[Endpoint, ...]:
        tree = table.get("endpoints")
        if not isinstance(tree, Sequence):
            if tree is None and self._is_misspelt(table):
                return ()
            if tree is None or (isinstance(tree, Scalar) and tree.is_null):
                self._error(self._entry, "no endpoint", "add `endpoints: [192.0.2.1]`")
            else:
                hint = f"write [{tree.text}]" if isinstance(tree, Scalar) else ""
                self._error(tree, f"endpoints: {show(plain(tree))} is not a list", hint)
            return ()
        if not tree.items:
            self._error(tree, "no endpoint", "add an address")
        endpoints: list[Endpoint] = []
        seen: dict[bytes | str, int] = {}
        for item in tree.items:
            endpoint = self._read_endpoint(item)
            if endpoint is None:
                continue
            endpoints.append(endpoint)
            self._look_for_twins(item, endpoint, seen)
            self._look_at_name(item, endpoint)
            if check is not None and check.enabled and check.type != "push":
                self._look_at_probing(item, endpoint)
        if endpoints and all(endpoint.weight == 0 for endpoint in endpoints):
            self._error(tree, "all weights are 0", "give one endpoint a weight")
        return tuple(endpoints)

    def _is_misspelt(self, table: Mapping) -> bool:
        """Whether a key that is complained of means the endpoints."""
        keys = (*PoolModel.model_fields, "endpoints")
        return any(self._report.nearest(key, keys) == "endpoints" for key in table.entries)

    def _read_endpoint(self, item: Tree) -> Endpoint | None:
        if not isinstance(item, Mapping) or unquoted_hint(plain(item)):
            return self._read_bare(item)
        model = read_flat(EndpointModel, item, self._subject, self._report, _NONE)
        if model is None:
            return None
        if model.ipv4 is None and model.ipv6 is None:
            self._error(item, "an endpoint without an address", "add `ipv4:` or `ipv6:`")
            return None
        return Endpoint(
            model.name or model.ipv4 or model.ipv6 or "",
            None if model.ipv4 is None else ip_address(model.ipv4).packed,
            None if model.ipv6 is None else ip_address(model.ipv6).packed,
            model.weight,
            model.check_address,
            model.check_port,
        )

    def _read_bare(self, item: Tree) -> Endpoint | None:
        try:
            address = read_address(plain(item))
        except ScalarError as error:
            self._error(item, f"endpoint {error.what}", error.hint)
            return None
        if isinstance(address, IPv4Address):
            return Endpoint(str(address), address.packed, None)
        return Endpoint(str(address), None, address.packed)

    def _look_for_twins(self, item: Tree, endpoint: Endpoint, seen: dict[bytes | str, int]) -> None:
        for packed in (endpoint.ipv4, endpoint.ipv6):
            if packed is not None and packed in seen:
                text = quote(str(ip_address(packed)))
                hint = f"the first is in line {seen[packed]}"
                self._error(item, f"address {text} stands twice", hint)
        if endpoint.name in seen:
            hint = f"the first is in line {seen[endpoint.name]}"
            if ip_address(endpoint.ipv4 or endpoint.ipv6 or b"").compressed != endpoint.name:
                self._error(item, f"endpoint name {quote(endpoint.name)} stands twice", hint)
        for key in (endpoint.ipv4, endpoint.ipv6, endpoint.name):
            if key is not None:
                seen.setdefault(key, item.where.line)

    def _look_at_name(self, item: Tree, endpoint: Endpoint) -> None:
        """A name that is another endpoint's address would have operators drain the wrong one."""
        try:
            packed = ip_address(endpoint.name).packed
        except ValueError:
            return
        if packed not in (endpoint.ipv4, endpoint.ipv6):
            what = f"endpoint name {quote(endpoint.name)} is an address that is not its own"
            self._error(item, what, "give it another name, or none")

    def _look_at_probing(self, item: Tree, endpoint: Endpoint) -> None:
        """What health.md forbids to probe is said here, before anything is probed."""
        packed = [address for address in (endpoint.ipv4, endpoint.ipv6) if address is not None]
        probed = (
            [endpoint.check_address]
            if endpoint.check_address
            else [str(ip_address(a)) for a in packed]
        )
        for address in probed:
            reason = refusal(address, self._around.allow)
            if reason is not None and (found := forbid(address)) is not None:
                what = f"endpoint {quote(endpoint.name)} may not be probed: {reason}"
                network = str(found.network)
                written = quote(network) if ":" in network else network
                self._error(item, what, f"allow it with `probe.allow: [{written}]`")

    def _error(self, at: Tree | Entry, what: str, hint: str = "") -> None:
        self._report.error(at.where, self._subject, what, hint)

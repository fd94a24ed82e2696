"""The server's own settings: `server`, `control`, `geo`, `probe`, `events` and `zones`.

Knows: where relative paths lead, and which keys are a later release's. Refuses to know:
sockets, databases. Invariant: every path in Settings is absolute.
"""

from __future__ import annotations

import os
from typing import Final

from gslb.config.client import warn_of_host_bits
from gslb.config.control import read_control
from gslb.config.flat import as_mapping, comes_later, read_flat
from gslb.config.machine import PING_HINT, fault_of_ping
from gslb.config.model import EventsModel, GeoModel, ProbeModel, ServerModel
from gslb.config.report import Report, quote
from gslb.config.scalar import show
from gslb.config.secret import SECRET_FILE, read_secrets
from gslb.config.tree import Mapping, Scalar, Sequence, plain
from gslb.core.probing import forbid, refusal
from gslb.core.setting import (
    Cookies,
    GeoSettings,
    Limits,
    ProbeSettings,
    RateLimit,
    Settings,
    TcpLimits,
)

LATER_SERVER: Final = frozenset(("explain_to",))
LATER_EVENTS: Final = frozenset(("webhooks",))
_NONE: Final[frozenset[str]] = frozenset()


def read_settings(
    root: Mapping, folder: str, report: Report, *, needs_secrets: bool = True
) -> Settings:
    """All settings; where a section is broken, its defaults. `folder` is gslb.yaml's.

    Without `needs_secrets` a broken secret file is no error: others than a server, and a server in
    need, do without.
    """
    server = _read_server(root, report)
    control, tokens = read_control(_section(root, "control", report), report)
    return Settings(
        listen=server.listen,
        engine=server.engine,
        state=absolute(folder, server.state),
        ecs_from=server.ecs_from,
        nsid=server.nsid,
        udp_size=server.udp_size,
        tcp=TcpLimits(
            server.tcp.connections,
            server.tcp.per_source,
            server.tcp.idle,
            server.tcp.message,
            server.tcp.pipeline,
        ),
        limits=Limits(
            server.limits.rrset,
            server.limits.types_per_name,
            server.limits.cname_chain,
            server.limits.additional,
            server.limits.zone,
            server.limits.udp_batch,
            server.limits.log_lines,
        ),
        cookies=_read_cookies(server, folder, report, needs_secrets),
        rate_limit=_rate_limit_of(server),
        control=control.listen,
        control_hosts=control.hosts,
        tokens=tokens,
        peers=control.peers,
        events_keep_s=_read_events(_section(root, "events", report), report).keep,
        max_body=control.max_body,
        geo=_read_geo(_section(root, "geo", report), folder, report),
        probe=_read_probe(_section(root, "probe", report), report),
    )


# A mistake is one problem: not one more for every group that needs a database, or for every
# endpoint that `allow` would name. So a section that cannot be read has what silences those.


def _read_geo(table: Mapping, folder: str, report: Report) -> GeoSettings:
    beside = ("overrides",)
    model = read_flat(GeoModel, table.without(*beside), "geo", report, _NONE, beside)
    model = model or GeoModel(city="unread", asn="unread")
    return GeoSettings(
        city=None if model.city is None else absolute(folder, model.city),
        asn=None if model.asn is None else absolute(folder, model.asn),
        max_scope=model.max_scope,
        table_memory=model.table_memory,
    )


def _read_probe(table: Mapping, report: Report) -> ProbeSettings:
    _look_at_networks(table, "probe", "allow", report)
    model = read_flat(ProbeModel, table, "probe", report, _NONE)
    model = model or ProbeModel(allow=("0.0.0.0/0", "::/0"), exec=True)
    _look_at_witnesses(table, model, report)
    return ProbeSettings(
        model.allow,
        model.concurrency,
        model.settle,
        model.state_max_age,
        model.witness,
        model.exec,
    )


def _look_at_witnesses(table: Mapping, model: ProbeModel, report: Report) -> None:
    """What may not be probed is no witness, and what the kernel forbids sees nothing."""
    tree = table.get("witness")
    items = tree.items if isinstance(tree, Sequence) else (tree,)
    for index, (item, witness) in enumerate(zip(items, model.witness, strict=False)):
        where = table.where if item is None else item.where
        if witness in model.witness[:index]:
            what = f"witness: {quote(witness.text)} stands twice"
            report.error(where, "probe", what, "name another, of another kind if you can")
            continue
        reason = refusal(witness.address, model.allow)
        if reason is not None and (found := forbid(witness.address)) is not None:
            what = f"witness: {quote(witness.text)} may not be probed: {reason}"
            network = quote(found.network) if ":" in found.network else found.network
            report.error(where, "probe", what, f"allow it with `probe.allow: [{network}]`")
        if witness.type == "icmp" and (fault := fault_of_ping()):
            hint = f"if this is the machine that probes: {PING_HINT}"
            report.warn(where, "probe", f"witness: {fault}", hint)


def _read_events(table: Mapping, report: Report) -> EventsModel:
    return read_flat(EventsModel, table, "events", report, LATER_EVENTS) or EventsModel()


def read_zones_folder(root: Mapping, report: Report) -> str:
    """`zones:` as written; the default is the folder `zones` beside gslb.yaml."""
    tree = root.get("zones")
    if tree is None:
        return "zones"
    if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.value:
        if tree.value.isprintable():
            return tree.value
        report.error(tree.where, "", f"zones: {quote(tree.value)} has control characters")
        return ""
    is_null = isinstance(tree, Scalar) and tree.is_null
    what = "has no value" if is_null else f"{show(plain(tree))} is not a folder"
    report.error(tree.where, "", f"zones: {what}", "write the folder, as zones/")
    return ""


def _read_server(root: Mapping, report: Report) -> ServerModel:
    table = _section(root, "server", report)
    engine = table.get("engine")
    if isinstance(engine, Scalar) and engine.value == "native":
        comes_later(engine.where, "server", "native", report)
        table = table.without("engine")
    model = read_flat(ServerModel, table, "server", report, LATER_SERVER)
    model = model or ServerModel()
    _look_at_networks(table, "server", "ecs_from", report)
    if isinstance(limit := table.get("rate_limit"), Mapping):
        _look_at_networks(limit, "server.rate_limit", "exempt", report)
    listen = table.get("listen")
    for index, address in enumerate(model.listen):
        if isinstance(listen, Sequence) and address in model.listen[:index] and address[1]:
            where = listen.items[index].where
            report.error(where, "server", f"listen: {quote(address[0])} stands twice")
    return model


def _read_cookies(
    server: ServerModel, folder: str, report: Report, needs_secrets: bool
) -> Cookies | None:
    """The secrets of the file, which need not be there yet."""
    if server.cookies is None:
        return None
    written = server.cookies.secret_file
    default = os.path.join(server.state, SECRET_FILE)
    path = absolute(folder, default if written is None else written)
    return Cookies(path, read_secrets(path, report, needed=needs_secrets))


def _rate_limit_of(server: ServerModel) -> RateLimit | None:
    limit = server.rate_limit
    if limit is None:
        return None
    return RateLimit(limit.per_second, limit.slip, limit.exempt, limit.log_only)


def _section(root: Mapping, name: str, report: Report) -> Mapping:
    return as_mapping(root.get(name), name, report) or Mapping(root.where)


def _look_at_networks(table: Mapping, section: str, key: str, report: Report) -> None:
    value = table.get(key)
    for item in value.items if isinstance(value, Sequence) else (value,):
        if item is not None:
            warn_of_host_bits(item, f"{section}.{key}", report)


def absolute(folder: str, path: str) -> str:
    """A path as gslb.yaml in a folder means it."""
    return os.path.abspath(os.path.join(folder, path))

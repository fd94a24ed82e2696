"""How we know: `checks:`.

Knows: which keys each type of check has, and what has to fit together in one check. Refuses to
know: how a probe is made, what `of` names (calculated.py). Invariant: a check's timeout is shorter
than its interval, so that probes of one target never overlap.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from gslb.config.checkmodel import (
    MODELS,
    AnyCheckModel,
    CalculatedCheckModel,
    CheckModel,
    DnsCheckModel,
    ExecCheckModel,
    HttpCheckModel,
    PushCheckModel,
    SecureModel,
    TcpCheckModel,
)
from gslb.config.flat import as_mapping, named, read_defaults, read_flat
from gslb.config.machine import PING_HINT, fault_of_ca_file, fault_of_ping, fault_of_program
from gslb.config.report import Report, listing, quote
from gslb.config.setting import absolute
from gslb.config.tree import Entry, Mapping, Scalar, Tree
from gslb.core.check import PROBED, Check, CheckType
from gslb.core.setting import ProbeSettings
from gslb.wire.rrtype import AAAA, NOERROR, A, type_text

USUAL_PORTS: Final[dict[CheckType, int]] = {"http": 80, "https": 443, "dns": 53}
_NONE: Final[frozenset[str]] = frozenset()
# What only a probe has: failures in a row to count, a time to wait for, a beat to shift.
_OF_PROBES: Final = ("fall", "jitter", "latency", "rapid", "rise", "timeout")
# Without them there is nothing to probe or to count; what to write.
_MANDATORY: Final = {
    "query": "write the name and the type to ask for",
    "command": "write [program, argument, …]",
    "of": "name the checks and pools that count",
    "need": "how many have to be up: 1 for any of them, 60%, or 100% for all",
}


def read_checks(
    root: Mapping, defaults: Mapping, folder: str, probe: ProbeSettings, report: Report
) -> dict[str, Check | None]:
    """The checks of the file; None for a broken one. `folder` is gslb.yaml's.

    Those of type calculated have no `of` yet: `calculated.read_members` reads it.
    """
    return {
        entry.key: _CheckReader(entry, folder, probe, report).read(defaults)
        for entry in named(root, "checks", "check", report)
    }


def read_check_defaults(table: Mapping, report: Report) -> Mapping:
    """The good keys of `defaults.checks`, which may have those of every type."""
    return read_defaults(AnyCheckModel, table, "defaults.checks", report, _NONE)


class _CheckReader:
    """Reads one check; `whole` is its mapping with the defaults below it."""

    def __init__(self, entry: Entry, folder: str, probe: ProbeSettings, report: Report) -> None:
        self._name = entry.key
        self._tree = entry.value
        self._folder = folder
        self._probe = probe
        self._report = report
        self._subject = f"check {quote(entry.key)}"
        self._own = self._whole = Mapping(entry.where)

    def read(self, defaults: Mapping) -> Check | None:
        table = as_mapping(self._tree, self._subject, self._report)
        if table is None:
            return None
        kind = _type_in(table.get("type") or defaults.get("type"))
        reader = AnyCheckModel if kind is None else MODELS[kind]
        if kind is not None:
            table = self._without_foreign_keys(table, kind)
            # A default that only other types know is no mistake of this check.
            defaults = defaults.only(frozenset(reader.model_fields))
        self._own, self._whole = table, table.over(defaults)
        model = read_flat(reader, self._whole, self._subject, self._report, _NONE)
        if model is None or kind is None:
            return None
        missing = [
            key for key in _MANDATORY if key in reader.model_fields and getattr(model, key) is None
        ]
        for key in missing:
            self._error(key, f"{quote(key)} is missing", _MANDATORY[key])
        self._look_at_times(model, kind in PROBED)
        return None if missing else self._check_of(kind, model)

    def _without_foreign_keys(self, table: Mapping, kind: CheckType) -> Mapping:
        """The mapping less the keys of other types, each of which is complained of."""
        foreign = (AnyCheckModel.model_fields.keys() - MODELS[kind].model_fields.keys()) & (
            table.entries.keys()
        )
        for key in sorted(foreign):
            owners = [each for each, model in MODELS.items() if key in model.model_fields]
            what = f"{quote(key)} is no key of type {kind}"
            hint = f"{listing(owners)} {'have' if len(owners) > 1 else 'has'} it"
            self._report.error(table.place(key), self._subject, what, hint)
        return table.without(*foreign)

    def _look_at_times(self, model: CheckModel, is_probed: bool) -> None:
        if model.interval < 1:
            self._error("interval", "interval is below 1s", "probe at most once a second")
        elif is_probed and model.timeout >= model.interval:
            key = "timeout" if "timeout" in self._whole.entries else "interval"
            what = f"timeout {model.timeout:g}s is not below interval {model.interval:g}s"
            self._error(key, what, "shorten the timeout")

    def _check_of(self, kind: CheckType, model: CheckModel) -> Check:
        check = Check(
            name=self._name,
            type=kind,
            port=USUAL_PORTS.get(kind, 0),
            interval_s=model.interval,
            timeout_s=model.timeout,
            fall=model.fall,
            rise=model.rise,
            jitter=model.jitter,
            latency=model.latency,
            rapid=model.rapid,
            invert=model.invert,
            enabled=model.enabled,
            tags=model.tags,
        )
        if isinstance(model, SecureModel | DnsCheckModel | ExecCheckModel) and model.port:
            check = replace(check, port=model.port, names_port=True)
        if isinstance(model, SecureModel):
            check = self._with_trust(check, model, _speaks_tls(kind, model))
        match model:
            case HttpCheckModel():
                return self._http(check, model)
            case TcpCheckModel():
                return self._tcp(check, model)
            case DnsCheckModel():
                return self._dns(check, model)
            case ExecCheckModel():
                return self._exec(check, model)
            case CalculatedCheckModel():
                self._look_at_idle(kind, "what it counts has that, and it follows at once")
                return replace(check, need=model.need or check.need)
            case PushCheckModel():
                self._look_at_idle(kind, "a report counts at once")
                return replace(check, ttl_s=model.ttl)
            case _:
                self._look_at_ping()
                return check

    def _with_trust(self, check: Check, model: SecureModel, is_secure: bool) -> Check:
        ca_file = None
        if model.ca_file is not None:
            ca_file = absolute(self._folder, model.ca_file)
            is_read = is_secure and model.verify_tls
            if is_read and (fault := fault_of_ca_file(ca_file)):
                what = f"ca_file: {quote(model.ca_file)} {fault}"
                hint = "name a file of certificates in PEM: until then every probe over TLS fails"
                self._report.defer(self._whole.place("ca_file"), self._subject, what, hint)
        return replace(check, host=model.host, verify_tls=model.verify_tls, ca_file=ca_file)

    def _http(self, check: Check, model: HttpCheckModel) -> Check:
        if model.body is not None and model.body_regex is not None:
            self._error("body_regex", "both body and body_regex", "keep one of them")
        self._look_at_body(model)
        if "ca_file" in self._own.entries:
            if not _speaks_tls(check.type, model):
                self._warn("ca_file", "ca_file is not read without TLS", "write type: https")
            elif not model.verify_tls:
                self._warn("ca_file", "ca_file is not read", "write verify_tls: true")
        return replace(
            check,
            path=model.path,
            method=model.method,
            headers=model.headers,
            status=model.status,
            body=model.body,
            body_regex=model.body_regex,
            max_body=model.max_body,
            follow_redirects=model.follow_redirects,
            load=model.load,
        )

    def _look_at_body(self, model: HttpCheckModel) -> None:
        """What no reply could ever satisfy."""
        if model.method == "HEAD":
            hint = "write method: GET"
            for key, wanted in (("body", model.body), ("body_regex", model.body_regex)):
                if wanted is not None:
                    self._error(key, f"{key}: a reply to HEAD has no body", hint)
            if model.load is not None and model.load.startswith("/"):
                self._warn("load", "load: a reply to HEAD has no body", hint)
        if model.body is not None and len(model.body.encode()) > model.max_body:
            what = f"body is longer than max_body, {model.max_body} octets"
            self._error("body", what, "raise max_body")

    def _tcp(self, check: Check, model: TcpCheckModel) -> Check:
        if not model.tls:
            for key in ("host", "verify_tls", "ca_file"):
                if key in self._own.entries:
                    self._warn(key, f"{key} is not read without tls", "write tls: true")
        elif model.ca_file is not None and not model.verify_tls:
            self._warn("ca_file", "ca_file is not read", "write verify_tls: true")
        return replace(check, tls=model.tls, send=model.send, expect=model.expect)

    def _dns(self, check: Check, model: DnsCheckModel) -> Check:
        query = model.query or check.query
        if model.expect is not None:
            needed = A if ip_address(model.expect).version == 4 else AAAA
            if query[1] != needed:
                what = f"expect is of type {type_text(needed)}, the query of {type_text(query[1])}"
                self._error("expect", what, f"ask for {type_text(needed)}")
            elif model.rcode != NOERROR:
                what = "both an rcode that is an error and expect"
                self._error("expect", what, "keep one of them")
        return replace(check, query=query, rcode=model.rcode, address=model.expect)

    def _exec(self, check: Check, model: ExecCheckModel) -> Check:
        if not self._probe.exec:
            self._error("type", "exec checks are not allowed", "set `probe.exec: true`")
        program, *arguments = model.command or ("",)
        if "/" in program:
            program = absolute(self._folder, program)
        if model.command and (fault := fault_of_program(program)):
            what = f"command: {quote(model.command[0])} {fault} on this machine"
            self._warn("command", what, "where it is so, every probe fails")
        return replace(check, command=(program, *arguments))

    def _look_at_ping(self) -> None:
        if fault := fault_of_ping():
            self._warn("type", fault, f"if this is the machine that probes: {PING_HINT}")

    def _look_at_idle(self, kind: CheckType, why: str) -> None:
        """What says how to probe is for what is probed."""
        # A push check that flaps is held down for some intervals (core/trail.py).
        for key in (*_OF_PROBES, "interval") if kind == "calculated" else _OF_PROBES:
            if key in self._own.entries:
                self._warn(key, f"{key} is not read of type {kind}", why)

    def _error(self, key: str, what: str, hint: str) -> None:
        self._report.error(self._whole.place(key), self._subject, what, hint)

    def _warn(self, key: str, what: str, hint: str) -> None:
        self._report.warn(self._whole.place(key), self._subject, what, hint)


def _speaks_tls(kind: CheckType, model: SecureModel) -> bool:
    """Whether a probe may come to look at certificates: a redirect may lead to them, too."""
    match model:
        case TcpCheckModel():
            return model.tls
        case HttpCheckModel():
            return kind == "https" or model.follow_redirects
        case _:
            return False


def _type_in(tree: Tree | None) -> CheckType | None:
    """The type that is written, None if there is none of that name."""
    word = tree.value if isinstance(tree, Scalar) else None
    return next((each for each in MODELS if each == word), None)

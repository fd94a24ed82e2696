"""How we know: `checks:`.

Knows: which keys each type of check has. Refuses to know: how a probe is made. Invariant:
a check's timeout is shorter than its interval, so that probes of one target never overlap.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from gslb.config.checkmodel import CheckModel, HttpCheckModel
from gslb.config.flat import as_mapping, comes_later, named, read_defaults, read_flat
from gslb.config.report import Report, quote
from gslb.config.setting import absolute
from gslb.config.tree import Entry, Mapping, Scalar
from gslb.core.check import Check

USUAL_PORTS: Final = {"http": 80, "https": 443}
LATER_TYPES: Final = frozenset(("dns", "icmp", "exec", "calculated", "push"))
LATER_KEYS: Final = frozenset(("load", "rapid", "invert"))
LATER_TCP_KEYS: Final = LATER_KEYS | {"tls", "send", "expect"}


def read_checks(
    root: Mapping, defaults: Mapping, folder: str, report: Report
) -> dict[str, Check | None]:
    """The checks of the file; None for a broken one. `folder` is gslb.yaml's."""
    return {
        entry.key: _read_check(entry, defaults, folder, report)
        for entry in named(root, "checks", "check", report)
    }


def read_check_defaults(table: Mapping, report: Report) -> Mapping:
    """The good keys of `defaults.checks`, which may have those of every type."""
    subject = "defaults.checks"
    tree = table.get("type")
    if isinstance(tree, Scalar) and tree.value in LATER_TYPES:
        comes_later(tree.where, subject, tree.text, report)
        table = table.without("type")
    return read_defaults(HttpCheckModel, table, subject, report, LATER_TCP_KEYS)


def _read_check(entry: Entry, defaults: Mapping, folder: str, report: Report) -> Check | None:
    subject = f"check {quote(entry.key)}"
    table = as_mapping(entry.value, subject, report)
    if table is None:
        return None
    tree = table.get("type") or defaults.get("type")
    kind = tree.value if isinstance(tree, Scalar) else None
    if tree is not None and kind in LATER_TYPES:
        comes_later(tree.where, subject, str(kind), report)
        return None
    if kind == "tcp":
        # A default that only http knows is no mistake of a tcp check.
        whole = table.over(defaults.only(frozenset(CheckModel.model_fields)))
        model = read_flat(CheckModel, whole, subject, report, LATER_TCP_KEYS)
    else:
        whole = table.over(defaults)
        model = read_flat(HttpCheckModel, whole, subject, report, LATER_KEYS)
    if model is None:
        return None
    _look_at_times(model, whole, subject, report)
    return _check_of(entry.key, model, folder, whole, subject, report)


def _look_at_times(model: CheckModel, table: Mapping, subject: str, report: Report) -> None:
    if model.interval < 1:
        where = table.place("interval")
        report.error(where, subject, "interval is below 1s", "probe at most once a second")
    if model.timeout >= model.interval >= 1:
        key = "timeout" if "timeout" in table.entries else "interval"
        what = f"timeout {model.timeout:g}s is not below interval {model.interval:g}s"
        report.error(table.place(key), subject, what, "shorten the timeout")


def _check_of(
    name: str, model: CheckModel, folder: str, table: Mapping, subject: str, report: Report
) -> Check:
    common = Check(
        name=name,
        type=model.type,
        port=model.port or USUAL_PORTS.get(model.type, 0),
        interval_s=model.interval,
        timeout_s=model.timeout,
        fall=model.fall,
        rise=model.rise,
        jitter=model.jitter,
        latency=model.latency,
        enabled=model.enabled,
        tags=model.tags,
    )
    if not isinstance(model, HttpCheckModel):
        return common
    if model.body is not None and model.body_regex is not None:
        where = table.place("body_regex")
        report.error(where, subject, "both body and body_regex", "keep one of them")
    ca_file = None
    if model.ca_file is not None:
        ca_file = absolute(folder, model.ca_file)
        if not os.access(ca_file, os.R_OK):
            what = f"ca_file: {quote(model.ca_file)} cannot be read"
            report.warn(table.place("ca_file"), subject, what, "until it can, every probe fails")
    return replace(
        common,
        path=model.path,
        method=model.method,
        host=model.host,
        headers=model.headers,
        status=model.status,
        body=model.body,
        body_regex=model.body_regex,
        max_body=model.max_body,
        verify_tls=model.verify_tls,
        ca_file=ca_file,
        follow_redirects=model.follow_redirects,
    )

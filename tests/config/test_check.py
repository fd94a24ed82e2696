"""Checks of every type: their keys, and what is meant where they do not stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gslb.config.checkmodel import MODELS, AnyCheckModel
from gslb.core.check import Check
from gslb.wire.name import from_text
from hypothesis import given, settings
from hypothesis import strategies as st

from checkcase import TRUE, WEB, check_of, errors_of, reading_of
from yamlcase import SMALL, edited, read, said

# ---- one of each -------------------------------------------------------------------------


def test_every_type_has_what_every_check_has(tmp_path: Path) -> None:
    shared = "interval: 20s, timeout: 3s, fall: 4, rise: 5, jitter: 20%, latency: first_byte"
    shared += ", tags: [a, b], enabled: true, invert: true, rapid: true"
    for kind, own in (
        ("http", "port: 1"),
        ("https", "port: 1"),
        ("tcp", "port: 1"),
        ("dns", "port: 1, query: a.example"),
        ("icmp", ""),
        ("exec", f"port: 1, command: [{TRUE}]"),
        ("calculated", "of: [web-iad], need: 1"),
        ("push", ""),
    ):
        text = edited(SMALL, WEB, f"{{ type: {kind}, {shared}{', ' if own else ''}{own} }}")
        text = edited(text, "datacenter: iad, check: web", "datacenter: iad")
        reading = read(tmp_path, text + "probe: { exec: true }\n")
        assert said(reading, "error") == [], kind
        check = reading.config.checks["web"]
        assert check.type == kind
        assert (check.interval_s, check.timeout_s, check.fall, check.rise) == (20.0, 3.0, 4, 5)
        assert (check.jitter, check.latency, check.tags) == (0.2, "first_byte", ("a", "b"))
        assert (check.enabled, check.invert, check.rapid) == (True, True, True)
        assert (check.port, check.names_port) == ((1, True) if "port" in own else (0, False))


def test_all_of_tcp(tmp_path: Path) -> None:
    text = (
        "{ type: tcp, port: 25, tls: true, host: mail.example, verify_tls: true,"
        ' send: "EHLO x\\r\\n", expect: "250 ä" }'
    )
    assert check_of(tmp_path, text) == Check(
        "web",
        "tcp",
        25,
        tls=True,
        host="mail.example",
        send=b"EHLO x\r\n",
        expect="250 ä".encode(),
        names_port=True,
    )
    assert check_of(tmp_path, "{ type: tcp, port: 25, expect: '220' }").expect == b"220"


def test_tcp_trusts_any_certificate_unless_it_is_told(tmp_path: Path) -> None:
    assert not check_of(tmp_path, "{ type: tcp, port: 1, tls: true }").verify_tls
    assert check_of(tmp_path, "{ type: https }").verify_tls


def test_what_tcp_does_not_read_without_tls_is_said(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, "{ type: tcp, port: 1, host: a.example }")
    assert said(reading) == [
        '10:30: check "web": host is not read without tls; write tls: true',
    ]


def test_all_of_dns(tmp_path: Path) -> None:
    check = check_of(
        tmp_path, '{ type: dns, query: "a.example aaaa", rcode: NOERROR, expect: "2001:DB8::1" }'
    )
    assert check == Check(
        "web", "dns", 53, query=(from_text("a.example"), 28), rcode=0, address="2001:db8::1"
    )
    check = check_of(tmp_path, "{ type: dns, port: 5353, query: a.example, rcode: NXDOMAIN }")
    assert (check.query[1], check.rcode, check.port, check.names_port) == (1, 3, 5353, True)


def test_all_of_exec(tmp_path: Path) -> None:
    program = tmp_path / "look"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    check = check_of(
        tmp_path,
        '{ type: exec, port: 9, command: [./look, "{address}", "{port}", ""] }',
        "probe: { exec: true }\n",
    )
    assert check.command == (str(program), "{address}", "{port}", "")
    assert check.port == 9


def test_all_of_push(tmp_path: Path) -> None:
    check = check_of(tmp_path, "{ type: push, ttl: 90s }")
    assert (check.ttl_s, check.fall, check.rise, check.port) == (90.0, 1, 1, 0)
    assert check_of(tmp_path, "{ type: push, fall: 2 }").fall == 2
    check = check_of(tmp_path, "{ type: push }", "defaults: { checks: { fall: 5 } }\n")
    assert (check.ttl_s, check.fall) == (60.0, 5)


def test_how_to_probe_means_nothing_where_nothing_is_probed(tmp_path: Path) -> None:
    for kind, why in (
        ("push", "a report counts at once"),
        ("calculated, of: [web], need: 1", "what it counts has that, and it follows at once"),
    ):
        probing = (
            "interval: 9s, jitter: 1%, latency: connect, timeout: 9s, fall: 2, rise: 3, rapid: true"
        )
        reading = reading_of(tmp_path, f"{{ type: {kind}, {probing} }}")
        ends = sorted(text.split('check "web": ')[-1] for text in said(reading, "warning"))
        name = kind.split(",")[0]
        assert ends == [
            f"{key} is not read of type {name}; {why}"
            for key in ("fall", "interval", "jitter", "latency", "rapid", "rise", "timeout")
            if key != "interval" or name == "calculated"  # a report that flaps is held down
        ]
    usual = "defaults: { checks: { fall: 5 } }\n"
    assert said(reading_of(tmp_path, "{ type: push }", usual), "warning") == []


def test_a_pushed_check_is_not_probed_so_any_address_will_do(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, "{ type: push }")
    assert said(read(tmp_path, edited(text, "[192.0.2.10]", "[127.0.0.1]")), "error") == []


@pytest.mark.parametrize("load", ["/load", "/a~1b/0/c~0d", "X-Load"])
def test_a_load_is_a_pointer_or_a_header(tmp_path: Path, load: str) -> None:
    assert check_of(tmp_path, f"{{ type: http, load: {load} }}").load == load


def test_an_interval_is_a_second_at_least_and_a_timeout_matters_where_something_is_probed(
    tmp_path: Path,
) -> None:
    for kind in ("http", "push", "calculated, of: [web-fra], need: 1"):
        assert "interval is below 1s; probe at most once a second" in errors_of(
            tmp_path, f"{{ type: {kind}, interval: 999ms }}"
        )
    assert check_of(tmp_path, "{ type: push, interval: 1s }").interval_s == 1.0


# ---- keys of other types -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("type: tcp, port: 1, path: /x", '"path" is no key of type tcp; http and https have it'),
        ("type: http, tls: true", '"tls" is no key of type http; tcp has it'),
        ("type: http, send: a", '"send" is no key of type http; tcp has it'),
        ("type: http, expect: a", '"expect" is no key of type http; tcp and dns have it'),
        ("type: tcp, port: 1, load: /x", '"load" is no key of type tcp; http and https have it'),
        ("type: icmp, port: 1", '"port" is no key of type icmp; http, https, tcp, dns and exec'),
        ("type: push, port: 1", '"port" is no key of type push; http, https, tcp, dns and exec'),
        ("type: push, of: [a]", '"of" is no key of type push; calculated has it'),
        ("type: icmp, ttl: 5s", '"ttl" is no key of type icmp; push has it'),
        ("type: https, query: a", '"query" is no key of type https; dns has it'),
        ("type: https, command: [a]", '"command" is no key of type https; exec has it'),
        ("type: icmp, intervall: 5s", 'unknown key "intervall"; did you mean "interval"?'),
    ],
)
def test_a_key_of_another_type_is_said_whose_it_is(
    tmp_path: Path, check: str, problem: str
) -> None:
    (error,) = errors_of(tmp_path, f"{{ {check} }}")
    assert error.startswith(problem)


def test_defaults_may_have_keys_of_all_types(tmp_path: Path) -> None:
    defaults = (
        "defaults:\n  checks: { interval: 30s, path: /x, tls: true, query: a.example, ttl: 5s,"
        f" command: [{TRUE}], load: /l, need: 50%, port: 99, expect: '192.0.2.1' }}\n"
        "probe: { exec: true }\n"
    )
    for kind in ("http", "https", "tcp", "dns", "icmp", "exec", "push"):
        check = check_of(tmp_path, f"{{ type: {kind} }}", defaults)
        assert check.interval_s == 30.0
        assert check.port == (0 if kind in ("icmp", "push") else 99)
        assert check.names_port == bool(check.port)
    assert check_of(tmp_path, "{ type: tcp }", defaults).expect == b"192.0.2.1"
    assert check_of(tmp_path, "{ type: dns }", defaults).address == "192.0.2.1"
    assert check_of(tmp_path, "{ type: http }", defaults).load == "/l"


def test_a_default_that_a_type_cannot_read_is_said(tmp_path: Path) -> None:
    defaults = "defaults: { checks: { expect: ready, query: a.example } }\n"
    assert len(errors_of(tmp_path, "{ type: dns }", defaults)) == 1
    assert errors_of(tmp_path, "{ type: tcp, port: 1 }", defaults) == []


# ---- anything ----------------------------------------------------------------------------

TEXTS = ["a", "web", "a A", "/a", "5s", "50%", "", "http", "NOERROR", "a/b", "192.0.2.1", "/~"]
VALUES = st.recursive(
    st.sampled_from(TEXTS) | st.none() | st.booleans() | st.integers(-5, 70_000),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([*MODELS, "defaults"]),
    st.dictionaries(st.sampled_from(sorted(AnyCheckModel.model_fields)), VALUES, max_size=5),
)
def test_a_check_of_any_keys_is_read_or_complained_of(
    tmp_path_factory: pytest.TempPathFactory, kind: str, keys: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    if kind == "defaults":
        text = SMALL + f"defaults: {{ checks: {json.dumps(keys)} }}\n"
    else:
        text = edited(SMALL, WEB, json.dumps({**keys, "type": kind}))
    reading = read(folder, text + "probe: { exec: true }\n")
    assert (reading.config is None) == bool(said(reading, "error"))

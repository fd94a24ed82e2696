"""Checks of every type: their keys, what cannot work, and what calculated checks count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from gslb.config import machine
from gslb.config.checkmodel import MODELS, AnyCheckModel
from gslb.core.check import Check, Member
from gslb.core.policy import Amount
from gslb.core.setting import ProbeSettings, Witness
from gslb.wire.name import from_text
from hypothesis import given, settings
from hypothesis import strategies as st

from yamlcase import SMALL, edited, read, said

WEB = "{ type: http, port: 8080 }"
TRUE = "/bin/true"


def reading_of(folder: Path, check: str, more: str = ""):
    return read(folder, edited(SMALL, WEB, check) + more)


def check_of(folder: Path, check: str, more: str = "") -> Check:
    reading = reading_of(folder, check, more)
    assert said(reading, "error") == []
    return reading.config.checks["web"]


def errors_of(folder: Path, check: str, more: str = "") -> list[str]:
    return [
        text.split('check "web": ')[-1] for text in said(reading_of(folder, check, more), "error")
    ]


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


def test_in_a_row_means_nothing_where_nothing_is_probed(tmp_path: Path) -> None:
    for kind, why in (
        ("push", "a report counts at once"),
        ("calculated, of: [web], need: 1", "what it counts has that, and it follows at once"),
    ):
        reading = reading_of(tmp_path, f"{{ type: {kind}, fall: 2, rise: 3, rapid: true }}")
        ends = sorted(text.split('check "web": ')[-1] for text in said(reading, "warning"))
        name = kind.split(",")[0]
        assert ends == [
            f"{key} is not read of type {name}; {why}" for key in ("fall", "rapid", "rise")
        ]
    usual = "defaults: { checks: { fall: 5 } }\n"
    assert said(reading_of(tmp_path, "{ type: push }", usual), "warning") == []


def test_a_pushed_check_is_not_probed_so_any_address_will_do(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, "{ type: push }")
    assert said(read(tmp_path, edited(text, "[192.0.2.10]", "[127.0.0.1]")), "error") == []


@pytest.mark.parametrize("load", ["/load", "/a~1b/0/c~0d", "X-Load"])
def test_a_load_is_a_pointer_or_a_header(tmp_path: Path, load: str) -> None:
    assert check_of(tmp_path, f"{{ type: http, load: {load} }}").load == load


def test_times_mean_nothing_where_nothing_is_probed(tmp_path: Path) -> None:
    check = check_of(tmp_path, "{ type: push, interval: 500ms, timeout: 1m }")
    assert check.interval_s == 0.5


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


# ---- what cannot work --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("type: dns", '"query" is missing; write the name and the type to ask for'),
        ("type: dns, query: a b c", 'query: "a b c" is no question; write a name and a type,'),
        ("type: dns, query: a..b", 'query: "a..b" is no name: '),
        ("type: dns, query: a AXFR", 'query: "AXFR" is no type to ask for; write A, AAAA, SOA'),
        ("type: dns, query: a OPT", 'query: "OPT" is no type to ask for'),
        ("type: dns, query: a NOPE", 'query: "NOPE" is no type to ask for'),
        ("type: dns, query: a, rcode: OK", 'rcode: "OK" is no rcode; write NOERROR, FORMERR,'),
        ("type: dns, query: a, rcode: BADVERS", 'rcode: "BADVERS" is no rcode'),
        ("type: dns, query: a, expect: b", 'expect: "b" is a host name; write the IP address'),
        (
            "type: dns, query: a AAAA, expect: 192.0.2.1",
            "expect is of type A, the query of AAAA; ask for A",
        ),
        (
            "type: dns, query: a, rcode: NXDOMAIN, expect: 192.0.2.1",
            "both an rcode that is an error and expect; keep one of them",
        ),
        ("type: exec", '"command" is missing; write [program, argument, …]'),
        ("type: exec, command: ls", 'command: "ls" is not a list; write [program, argument, …]'),
        ("type: exec, command: []", "command: is empty; write [program, argument, …]"),
        ("type: exec, command: [ls, 5]", "command: 5 is not text; quote it"),
        ("type: exec, command: ['']", "command: the program has no name"),
        ("type: tcp, port: 1, send: ''", "send: is empty"),
        ("type: tcp, port: 1, expect: 220", "expect: 220 is not text; quote it"),
        ("type: http, load: ''", 'load: "" is neither a JSON pointer nor a header'),
        ("type: http, load: a b", 'load: "a b" is neither a JSON pointer nor a header; write it'),
        ("type: http, load: /a~2", 'load: "/a~2" is no JSON pointer; write ~ as ~0, / as ~1'),
        ("type: http, path: x", 'path: "x" is no path; write it as "/healthz", escaped'),
        ('type: http, path: "/a#b"', 'path: "/a#b" is no path; write it as "/healthz", escaped'),
        ("type: http, method: HEAD, body: x", "body: a reply to HEAD has no body; write method"),
        ("type: http, method: HEAD, body_regex: x", "body_regex: a reply to HEAD has no body"),
        ("type: http, max_body: 2, body: abc", "body is longer than max_body, 2 octets; raise"),
        ("type: icmp, timeout: 5s", "timeout 5s is not below interval 5s; shorten the timeout"),
        ("type: icmp, interval: 500ms", "interval is below 1s; probe at most once a second"),
        ("type: push, ttl: 0s", 'ttl: "0s" is no time at all; write 1ms or more'),
        ("type: calculated, need: 1", '"of" is missing; name the checks and pools that count'),
        ("type: calculated, of: [web-fra]", '"need" is missing; how many have to be up: 1 for'),
        ("type: calculated, need: 1, of: []", "of: is empty"),
        ("type: calculated, of: [a], need: 0", "need: 0 is not a number or a percentage; write"),
    ],
)
def test_a_check_that_cannot_work_is_said(tmp_path: Path, check: str, problem: str) -> None:
    (error,) = errors_of(tmp_path, f"{{ {check} }}", "probe: { exec: true }\n")
    assert error.startswith(problem)


def test_exec_needs_leave(tmp_path: Path) -> None:
    exec_check = f"{{ type: exec, command: [{TRUE}] }}"
    assert errors_of(tmp_path, exec_check) == [
        "exec checks are not allowed; set `probe.exec: true`"
    ]
    broken = errors_of(tmp_path, exec_check, "probe: { settle: 5 }\n")
    assert len(broken) == 1  # and not that exec is not allowed


@pytest.mark.parametrize(
    ("check", "warning"),
    [
        ("method: HEAD, load: /load", "load: a reply to HEAD has no body; write method: GET"),
        ("method: HEAD, load: X-Load", None),
        ("verify_tls: false, ca_file: ca.pem", "ca_file is not read; write verify_tls: true"),
    ],
)
def test_what_a_page_will_never_give_is_a_warning(
    tmp_path: Path, check: str, warning: str | None
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    warnings = said(reading_of(tmp_path, f"{{ type: https, {check} }}"), "warning")
    ends = [text.split('check "web": ')[-1] for text in warnings]
    assert ends == ([] if warning is None else [warning])


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("./missing", "does not exist"),
        ("./plain", "is not executable"),
        ("./folder", "is not a file"),
        ("no-such-program", "is not in /bin or /usr/bin"),
    ],
)
def test_a_program_that_is_not_there_is_a_warning(
    tmp_path: Path, program: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))  # our own PATH is not the program's
    text = f"{{ type: exec, command: [{program}] }}"
    reading = reading_of(tmp_path, text, "probe: { exec: true }\n")
    assert said(reading) == [
        f'10:22: check "web": command: "{program}" {fault} on this machine;'
        " where it is so, every probe fails"
    ]


def test_a_port_that_a_command_wants_must_be_said_somewhere(tmp_path: Path) -> None:
    text = '{ type: exec, command: [/bin/true, "{port}"] }'
    errors = errors_of(tmp_path, text, "probe: { exec: true }\n")
    assert errors == ['"port" is missing; endpoint "192.0.2.10" of pool "web-fra" needs it']


def test_a_port_that_a_counted_check_wants_must_be_said_somewhere(tmp_path: Path) -> None:
    text = "{ type: calculated, of: [db], need: 1 }\n  db: { type: tcp }"
    (error,) = said(reading_of(tmp_path, text), "error")
    assert error.endswith(
        'check "db": "port" is missing; endpoint "192.0.2.10" of pool "web-fra" needs it'
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read"),
        ("", "holds no certificate in PEM"),
        ("hello", "holds no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate"),
    ],
)
@pytest.mark.parametrize("kind", ["https", "tcp, port: 1, tls: true, verify_tls: true"])
def test_a_ca_file_that_is_none_is_said_before_every_probe_fails(
    tmp_path: Path, kind: str, content: str | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    (problem,) = said(reading_of(tmp_path, f"{{ type: {kind}, ca_file: ca.pem }}"))
    assert f'check "web": ca_file: "ca.pem" {fault}' in problem
    assert problem.endswith("; until it is mended, every probe fails")


def test_a_good_ca_file_is_no_matter(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    reading = reading_of(tmp_path, "{ type: https, ca_file: ca.pem }")
    assert said(reading) == []
    assert reading.config.checks["web"].ca_file == str(tmp_path / "ca.pem")


PING = """
import os, sys
from gslb.config.machine import fault_of_ping
with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
    file.write(sys.argv[1])
print(fault_of_ping())
"""


@pytest.mark.parametrize(("groups", "is_free"), [("1 0", False), ("0 2147483647", True)])
def test_whether_the_kernel_allows_icmp_is_seen(groups: str, is_free: bool) -> None:
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    run = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", PING, groups],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (run.stdout.strip() == "") == is_free


def test_icmp_that_the_kernel_forbids_is_a_warning(tmp_path: Path) -> None:
    fault = machine.fault_of_ping()
    expected = (
        [f'10:10: check "web": {fault}; if this is the machine that probes: {machine.PING_HINT}']
        if fault
        else []
    )
    assert said(reading_of(tmp_path, "{ type: icmp }")) == expected


# ---- calculated --------------------------------------------------------------------------


def test_a_calculated_check_counts_checks_and_pools(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  both: {{ type: calculated, of: [web, web-fra], need: 2 }}")
    checks = read(tmp_path, text).config.checks
    assert checks["both"].of == (Member("check", "web"), Member("pool", "web-fra"))
    assert (checks["both"].need, checks["both"].port) == (Amount(2), 0)
    share = edited(text, "need: 2", "need: 60%")
    assert read(tmp_path, share).config.checks["both"].need == Amount(60, percent=True)


def test_a_name_of_two_things_is_told_apart_by_its_kind(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  web-fra: {{ type: calculated, need: 1, of: [web-iad] }}")
    text = edited(text, "datacenter: fra, check: web", "datacenter: fra, check: all")
    both = "\n  all: { type: calculated, need: 1, of: [pool/web-iad, check/web-fra] }"
    plain = edited(text, "of: [web-iad] }", "of: [web-iad] }" + both)
    assert read(tmp_path, plain).config.checks["all"].of == (
        Member("pool", "web-iad"),
        Member("check", "web-fra"),
    )
    bare = edited(plain, "check/web-fra", "web-fra")
    assert said(read(tmp_path, bare), "error") == [
        '12:56: check "all": of: "web-fra" is a check and a pool;'
        " write check/web-fra or pool/web-fra"
    ]


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        ("[web-frb]", 'unknown check or pool "web-frb"; did you mean "web-fra"?'),
        ("[check/wep]", 'unknown check "wep"; did you mean "web"?'),
        ("[pool/web]", 'unknown pool "web"; known here: web-fra and web-iad'),
        ("[web, check/web]", 'of: "web" stands twice'),
        ("[web]", "need 2 is above the number of what counts, 1"),
    ],
)
def test_what_is_counted_has_to_be_there(tmp_path: Path, of: str, problem: str) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  two: {{ type: calculated, need: 2, of: {of} }}")
    (error,) = said(read(tmp_path, text), "error")
    assert error.endswith(f'check "two": {problem}')


@pytest.mark.parametrize(
    ("checks", "circle"),
    [
        ("{ type: calculated, need: 1, of: [web] }", "web → web"),
        (
            "{ type: calculated, need: 1, of: [b] }\n  b: { type: calculated, need: 1, of: [web] }",
            "web → b → web",
        ),
        ("{ type: calculated, need: 1, of: [web-fra] }", "web → pool/web-fra → web"),
    ],
)
def test_a_circle_is_refused_with_its_path(tmp_path: Path, checks: str, circle: str) -> None:
    assert errors_of(tmp_path, checks) == [f"checks in a circle: {circle}"]


def test_a_circle_that_is_entered_at_a_pool_is_told_from_its_check(tmp_path: Path) -> None:
    enter = "a: { type: calculated, need: 1, of: [web-fra] }\n  web: "
    text = edited(SMALL, f"web: {WEB}", enter + "{ type: calculated, need: 1, of: [web-fra] }")
    assert said(read(tmp_path, text), "error") == [
        '11:3: check "web": checks in a circle: web → pool/web-fra → web'
    ]


def test_what_is_counted_by_two_ways_is_no_circle(tmp_path: Path) -> None:
    text = edited(
        SMALL,
        WEB,
        f"{WEB}\n  a: {{ type: calculated, need: 1, of: [web, b] }}\n"
        "  b: { type: calculated, need: 1, of: [web, web-fra] }",
    )
    assert said(read(tmp_path, text), "error") == []


def test_a_long_chain_of_checks_is_read(tmp_path: Path) -> None:
    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [c{n + 1}] }}" for n in range(1200)
    )
    text = edited(SMALL, WEB, f"{WEB}{rows}\n  c1200: {WEB}")
    assert said(read(tmp_path, text), "error") == []


def test_a_broken_check_that_is_counted_is_one_mistake(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, "{ type: htp }\n  a: { type: calculated, need: 1, of: [web] }")
    assert len(said(read(tmp_path, text), "error")) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), max_size=6))
def test_a_circle_is_found_exactly_if_there_is_one(
    tmp_path_factory: pytest.TempPathFactory, graph: list[list[int]]
) -> None:
    edges = {n: [to for to in below if to < len(graph)] for n, below in enumerate(graph)}

    def reaches_itself(start: int) -> bool:
        seen: set[int] = set()
        ahead = list(edges[start])
        while ahead:
            here = ahead.pop()
            if here == start:
                return True
            if here not in seen:
                seen.add(here)
                ahead += edges[here]
        return False

    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [{', '.join(f'c{to}' for to in below)}] }}"
        for n, below in edges.items()
        if below
    ) + "".join(f"\n  c{n}: {WEB}" for n, below in edges.items() if not below)
    reading = read(tmp_path_factory.mktemp("graph"), edited(SMALL, WEB, WEB + rows))
    found = any("in a circle" in text for text in said(reading, "error"))
    assert found == any(reaches_itself(n) for n in edges)


def test_a_flood_of_circles_ends(tmp_path: Path) -> None:
    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [c{n + 1}, c0] }}" for n in range(2000)
    )
    errors = said(read(tmp_path, edited(SMALL, WEB, f"{WEB}{rows}\n  c2000: {WEB}")), "error")
    assert 1 <= len(errors) <= 20
    assert errors[0].startswith('11:3: check "c0": checks in a circle: c0 → c1 → ')


# ---- probe -------------------------------------------------------------------------------


def test_the_probe_settings(tmp_path: Path) -> None:
    text = "probe: { exec: true, witness: ["
    text += "'tcp://192.0.2.1:53', 'icmp://[2001:DB8::1]', icmp://192.0.2.9] }\n"
    probe = read(tmp_path, SMALL + text).config.settings.probe
    assert probe == ProbeSettings(
        witness=(
            Witness("tcp", "192.0.2.1", 53),
            Witness("icmp", "2001:db8::1"),
            Witness("icmp", "192.0.2.9"),
        ),
        exec=True,
    )
    one = read(tmp_path, SMALL + "probe: { witness: 'tcp://[2001:db8::1]:53' }\n")
    assert one.config.settings.probe.witness == (Witness("tcp", "2001:db8::1", 53),)


@pytest.mark.parametrize(
    ("witness", "problem"),
    [
        ("192.0.2.1", '"192.0.2.1" is no witness; write it as tcp://192.0.2.1:53 or icmp://'),
        ("udp://192.0.2.1:53", '"udp://192.0.2.1:53" is no witness; write it as tcp://'),
        ("5", "5 is no witness; write it as tcp://192.0.2.1:53 or icmp://192.0.2.1"),
        ("tcp://192.0.2.1", '"192.0.2.1" is not an address and a port; write it as tcp://'),
        ("tcp://192.0.2.1:0", '"tcp://192.0.2.1:0" has port 0; write a port that listens'),
        ("tcp://a.example:53", '"a.example" is a host name; write the IP address it stands for'),
        ("icmp://a.example", '"a.example" is a host name; write the IP address it stands for'),
        ("'icmp://[192.0.2.1]'", '"[192.0.2.1]" has an IPv4 address in brackets; leave them out'),
        ("'icmp://2001:db8::1'", '"2001:db8::1" is neither an IPv4 address nor one in brackets;'),
        ("icmp://192.0.2.1:53", '"192.0.2.1:53" is neither an IPv4 address nor one in brackets;'),
        ("tcp://127.0.0.1:53", '"tcp://127.0.0.1:53" may not be probed: 127.0.0.1 is in'),
        ("'icmp://[fe80::1]'", '"icmp://[fe80::1]" may not be probed: fe80::1 is in fe80::/10'),
    ],
)
def test_a_witness_that_is_none_is_said(tmp_path: Path, witness: str, problem: str) -> None:
    (error,) = said(read(tmp_path, SMALL + f"probe: {{ witness: [{witness}] }}\n"), "error")
    assert error.startswith(f"16:20: probe: witness: {problem}")


def test_a_witness_that_may_not_be_probed_is_told_what_to_allow(tmp_path: Path) -> None:
    text = "probe: { witness: 'tcp://[::1]:53' }\n"
    (error,) = said(read(tmp_path, SMALL + text), "error")
    assert error.endswith('allow it with `probe.allow: ["::1/128"]`')
    allowed = "probe: { witness: 'tcp://[::1]:53', allow: '::1/128' }\n"
    assert said(read(tmp_path, SMALL + allowed)) == []


@given(st.text(alphabet="tcpimu:/[].0123456789abcdef ", max_size=30))
def test_no_text_breaks_the_reader_of_witnesses(text: str) -> None:
    from gslb.config.scalar import ScalarError, read_witness

    try:
        witness = read_witness(text)
    except ScalarError:
        return
    assert read_witness(witness.text) == witness


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

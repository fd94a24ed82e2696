"""Checks that cannot work, as far as that can be seen before they are tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from gslb.config import machine

from checkcase import TRUE, errors_of, reading_of
from yamlcase import said


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("type: dns", '"query" is missing; write the name and the type to ask for'),
        ("type: dns, query: a b c", 'query: "a b c" is no question; write a name and a type,'),
        ("type: dns, query: a..b", 'query: "a..b" is no name: '),
        ("type: dns, query: exämple.com", 'query: "exämple.com" is not ASCII; write it as xn--…'),
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
        ("type: http, max_body: 17MiB", 'max_body: "17MiB" is above 16777216'),
        ("type: http, body: ''", "body: is empty"),
        ("type: http, body_regex: ''", "body_regex: is empty"),
        ("type: http, headers: {Content-Length: '5'}", "headers: header Content-Length: a probe"),
        ("type: http, headers: {A: b, a: b}", "headers: header a stands twice; case does not"),
        (f"type: http, fall: {10**20}", f'fall: "{10**20}" is not a whole number; it is too large'),
        ("type: icmp, timeout: 5s", "timeout 5s is not below interval 5s; shorten the timeout"),
        ("type: icmp, interval: 500ms", "interval is below 1s; probe at most once a second"),
        ("type: push, ttl: 0s", 'ttl: "0s" is no time at all; write 1ms or more'),
        ("type: calculated, need: 1", '"of" is missing; name the checks and pools that count'),
        ("type: calculated, of: [web-fra]", '"need" is missing; how many have to be up: 1 for'),
        ("type: calculated, need: 1, of: []", "of: is empty"),
        ("type: calculated, need: 1, of: [null]", "of: has no value"),
        ("type: http, fall: ８", 'fall: "８" is not a whole number'),
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

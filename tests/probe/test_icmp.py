"""The icmp check, and witnesses, in network namespaces where the kernel allows it and does not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gslb.core.check import Check, Target
from gslb.core.setting import Witness
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.icmp import _HEADER, _is_echo
from gslb.probe.witness import probe_witness

from endpoint import Endpoints, silence

PING = Check("alive", "icmp", 0, timeout_s=2.0)
SCRIPT = """
import asyncio, json, sys, time
sys.path[:0] = [sys.argv[1]]
from test_icmp import tell
with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
    file.write(sys.argv[2])
print(json.dumps([asyncio.run(tell(what)) for what in json.loads(sys.argv[3])]))
"""
SETUP = 'ip link set lo up; ip route add blackhole 198.51.100.0/24; exec "$@"'


async def tell(what: list[str]) -> list[object]:
    """One probe or witness, in the namespace: success, reason, whether there is a latency."""
    from gslb.probe.tls import Contexts

    kind, address, *allow = what
    means = Means(tuple(allow), Contexts(), asyncio.get_running_loop().time)
    try:
        if kind == "witness":
            result = await probe_witness(Witness("icmp", address), means, 2.0)
        else:
            check = Check("alive", "icmp", 0, timeout_s=0.2, invert=kind == "invert")
            result = await attempt(check, Target("alive", address, 0), means)
    except OSError as error:
        return ["our own fault", str(error), False]
    return [result.ok, result.reason, result.latency_s is not None and 0 < result.latency_s < 2]


def in_namespace(groups: str, *what: tuple[str, ...]) -> list[list[object]]:
    try:
        works = subprocess.run(["unshare", "-n", "ip", "link"], check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if works.returncode:
        pytest.skip("no network namespaces here")
    here = str(Path(__file__).parent)
    own = [sys.executable, "-c", SCRIPT, here, groups, json.dumps(what)]
    command = ["unshare", "-n", "sh", "-ec", SETUP, "sh", *own]
    search = ":".join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    run = subprocess.run(
        command, check=False, capture_output=True, text=True, env={"PYTHONPATH": search}
    )
    assert run.returncode == 0, run.stderr
    found: list[list[object]] = json.loads(run.stdout)
    return found


LOCAL = ("127.0.0.0/8", "::1/128")


def test_an_echo_that_comes_back_is_good() -> None:
    assert (
        in_namespace(
            "0 2147483647",
            ("icmp", "127.0.0.1", *LOCAL),
            ("icmp", "::1", *LOCAL),
            ("witness", "127.0.0.1", *LOCAL),
            ("witness", "::1", *LOCAL),
        )
        == [[True, "", True]] * 4
    )


def test_what_does_not_answer_is_told() -> None:
    nowhere, unreachable = in_namespace(
        "0 2147483647", ("icmp", "192.0.2.1"), ("icmp", "198.51.100.1")
    )
    assert nowhere == [False, "no route", False]
    assert unreachable == [False, "invalid argument", False]  # what Linux says of a blackhole


def test_inverted_it_is_good_if_nothing_comes_back() -> None:
    assert in_namespace(
        "0 2147483647", ("invert", "192.0.2.1"), ("invert", "127.0.0.1", *LOCAL)
    ) == [[True, "", False], [False, "answers, and invert is set", False]]


def test_a_kernel_that_forbids_it_is_no_verdict_and_says_what_to_do() -> None:
    text = '[Errno 13] the kernel forbids ICMP: sysctl -w net.ipv4.ping_group_range="0 2147483647"'
    for kind in ("icmp", "invert", "witness"):
        found = in_namespace("1 0", (kind, "127.0.0.1", *LOCAL), (kind, "::1", *LOCAL))
        assert found == [["our own fault", text, False]] * 2


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "ff02::1", "255.255.255.255"])
async def test_what_may_not_be_probed_is_not_pinged(means: Means, address: str) -> None:
    careful = Means((), means.contexts, means.clock)
    result = await attempt(PING, Target("alive", address, 0), careful)
    assert result.reason.startswith(f"not probed: {address} is in ")
    seen = await probe_witness(Witness("icmp", address), careful, 1.0)
    assert seen.reason == result.reason


async def test_inverting_does_not_make_good_what_may_not_be_probed(means: Means) -> None:
    careful = Means((), means.contexts, means.clock)
    check = Check("alive", "icmp", 0, invert=True)
    result = await attempt(check, Target("alive", "127.0.0.1", 0), careful)
    assert not result.ok
    assert result.reason.startswith("not probed: ")


def test_only_our_own_echo_is_one() -> None:
    cookie = b"0123456789abcdef"
    packet = _HEADER.pack(0, 0, 7, 7, 99) + cookie
    assert _is_echo(packet, 0, 99, cookie)
    assert not _is_echo(packet, 129, 99, cookie)
    assert not _is_echo(packet, 0, 98, cookie)
    assert not _is_echo(packet + b"x", 0, 99, cookie)
    assert not _is_echo(packet[:7], 0, 99, cookie)
    assert not _is_echo(b"", 0, 99, cookie)


# ---- witnesses over TCP ------------------------------------------------------------------


async def test_a_witness_that_accepts_is_seen(endpoints: Endpoints, means: Means) -> None:
    port = await endpoints.open(silence)
    result = await probe_witness(Witness("tcp", "127.0.0.1", port), means, 2.0)
    assert (result.ok, result.reason) == (True, "")
    assert result.latency_s is not None


async def test_a_witness_that_does_not_is_told(means: Means, closed_port: int) -> None:
    result = await probe_witness(Witness("tcp", "127.0.0.1", closed_port), means, 2.0)
    assert result == Result(False, "connect refused", None, result.at)

"""The tcp check, and what stands before every connection."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from gslb.core.check import Check, Target
from gslb.core.probing import refusal
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.reason import ago, failure

from endpoint import Endpoints, silence


def tcp(port: int, timeout_s: float = 2.0) -> Check:
    return Check("db", "tcp", port, timeout_s=timeout_s)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_endpoint_that_accepts_is_good(
    endpoints: Endpoints, means: Means, address: str
) -> None:
    port = await endpoints.open(silence, address)
    result = await attempt(tcp(port), Target("db", address, port), means)
    assert result.ok
    assert result.reason == ""
    assert result.latency_s is not None
    assert 0 < result.latency_s < 2.0


async def test_a_closed_port_is_connect_refused(closed_port: int, means: Means) -> None:
    result = await attempt(tcp(closed_port), Target("db", "127.0.0.1", closed_port), means)
    assert (result.ok, result.reason, result.latency_s) == (False, "connect refused", None)


async def test_a_full_queue_is_a_timeout(means: Means) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        result = await attempt(tcp(port, 0.1), Target("db", "127.0.0.1", port), means)
        for one in waiting:
            one.close()
    assert result.reason == "timeout after 0.1 s"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "2002:7f00:1::1"]
)
async def test_what_may_not_be_probed_is_not_connected_to(
    endpoints: Endpoints, means: Means, address: str
) -> None:
    accepted: list[bool] = []

    async def note(*_: object) -> None:
        accepted.append(True)

    port = await endpoints.open(note)
    careful = Means((), means.contexts, means.clock)
    result = await attempt(tcp(port), Target("db", address, port), careful)
    assert result.reason == f"not probed: {refusal(address, ())}"
    assert not accepted


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ECONNREFUSED, "connect refused"),
        (errno.ECONNRESET, "connection reset"),
        (errno.EPIPE, "connection reset"),
        (errno.ENETUNREACH, "no route"),
        (errno.EHOSTUNREACH, "no route"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.EPERM, "operation not permitted"),
    ],
)
def test_errors_of_the_kernel_are_told_in_words(number: int, text: str) -> None:
    assert str(failure(OSError(number, os.strerror(number)))) == text


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL])
def test_our_own_shortage_is_no_verdict_on_an_endpoint(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        failure(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s ago"), (90, "1 min ago"), (7200, "2 h ago"), (3.5 * 86400, "3 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text

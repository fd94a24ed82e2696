"""Queries that waited while the process did not run: nobody wants their answers any more."""

import signal
import socket
import time
from collections.abc import Iterator

import dns.message
import pytest
from gslb.serve import pulse

from running import Running, free_ports, wait_for

QUERY = b"\x12\x34" + b"\x00" * 10
DAY_S = 86_400.0
BOUND = pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])


class Clocks:
    """Both clocks of the process, ahead of the kernel's by as much as a test says."""

    def __init__(self) -> None:
        self.wall_s = self.monotonic_s = 0.0

    def time(self) -> float:
        return time.time() + self.wall_s

    def monotonic(self) -> float:
        return time.monotonic() + self.monotonic_s


@pytest.fixture
def clocks(monkeypatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(pulse, "time", clocks)
    return clocks


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        yield sock


async def answered(serve, engine, settled, clocks, client, bound, wall_s, monotonic_s) -> int:
    """How many of 200 queries are answered that wait when the clocks have gone on; counts agree."""
    listeners = serve(bound)
    client.connect(("127.0.0.1", listeners.addresses[0][1]))
    client.send(QUERY)  # the socket has been read before
    await settled(lambda: len(engine.asked))
    for _ in range(200):
        client.send(QUERY)
    clocks.wall_s, clocks.monotonic_s = wall_s, monotonic_s
    await settled(lambda: (len(engine.asked), listeners.stats()))
    count = len(engine.asked) - 1
    assert listeners.stats().get(("dropped", "stale"), 0) == 200 - count
    clocks.wall_s = 0.0  # in step with the kernel, as a real clock is
    client.send(QUERY)
    await settled(lambda: len(engine.asked))
    assert len(engine.asked) == count + 2
    return count


@BOUND
async def test_after_a_pause_what_is_too_old_is_dropped(
    serve, engine, settled, clocks, client, bound
):
    assert await answered(serve, engine, settled, clocks, client, bound, 10, 10) == 0


@BOUND
@pytest.mark.parametrize(
    ("wall_s", "monotonic_s"),
    [
        pytest.param(10, 0, id="no pause, however the wall clock goes"),
        pytest.param(3, 3, id="a short pause"),
        pytest.param(10 + DAY_S, 10, id="a pause, and the wall clock a day ahead"),
        pytest.param(10 - DAY_S, 10, id="a pause, and the wall clock a day back"),
    ],
)
async def test_everything_else_is_answered(
    serve, engine, settled, clocks, client, bound, wall_s, monotonic_s
):
    assert await answered(serve, engine, settled, clocks, client, bound, wall_s, monotonic_s) == 200


async def test_a_pause_that_the_heart_notices_first_counts_too(
    serve, engine, settled, clocks, client
):
    listeners = serve()
    client.connect(listeners.addresses[0])
    client.send(QUERY)
    await settled(lambda: len(engine.asked))
    client.send(QUERY)
    clocks.wall_s = clocks.monotonic_s = 10
    listeners._pulse._beat()
    await settled(listeners.stats)
    assert listeners.stats()["dropped", "stale"] == 1


async def test_what_waited_for_the_first_start_is_as_old_as_the_kernel_says(
    serve, engine, settled, clocks, client
):
    clocks.wall_s = 10
    listeners = serve()
    client.connect(listeners.addresses[0])
    client.send(QUERY)
    await settled(listeners.stats)
    assert listeners.stats()["dropped", "stale"] == 1


@pytest.mark.slow
def test_a_stopped_server_answers_what_is_fresh_when_it_goes_on(tmp_path):
    dns_port, control, port = free_ports(3)
    server = Running(tmp_path, dns_port, control, port)
    server.write()
    server.start()
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", dns_port))
            sock.settimeout(20)

            def send(first: int) -> None:
                for number in range(first, first + 100):
                    query = dns.message.make_query("txt.gslb.example.com.", "TXT", id=number)
                    sock.send(query.to_wire())

            server.signal(signal.SIGSTOP)
            send(1000)
            sent = time.monotonic()
            wait_for(lambda: time.monotonic() - sent > pulse.STALE_S + 1)
            send(2000)
            server.signal(signal.SIGCONT)
            numbers = [dns.message.from_wire(sock.recv(4096)).id for _ in range(100)]
            assert numbers == list(range(2000, 2100))
        assert 'gslb_dropped_total{reason="stale"} 100.0' in server.get("/metrics")[1]
    finally:
        server.signal(signal.SIGCONT)
        server.stop()

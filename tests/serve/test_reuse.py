"""One server takes over from another on the same port: every query is answered, by one of them."""

import asyncio
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from gslb.core.setting import TcpLimits
from gslb.errors import ListenError
from gslb.serve import listen as listen_module
from gslb.serve.listen import Listeners
from gslb.wire.stream import frame

from running import wait_for

PATIENCE_S = 20
ASKS = 60
Open = Callable[..., Listeners]


class Named:
    """Answers with its name behind the query."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def answer(self, packet: bytes, peer: str, transport: str) -> bytes:
        return packet[:2] + b"\x84" + packet[3:12] + self.name


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens listeners on a (host, port); whatever is open at the end is closed."""
    every: list[Listeners] = []

    def open_one(address: tuple[str, int] = ("127.0.0.1", 0), share: bool = False) -> Listeners:
        listeners = Listeners([address], share=share)
        every.append(listeners)
        return listeners

    yield open_one
    for listeners in reversed(every):
        await listeners.stop()


@pytest.fixture(autouse=True)
def short_handover(monkeypatch) -> None:
    """On a loopback nothing is under way for long."""
    monkeypatch.setattr(listen_module, "HANDOVER_S", 0.1)


def start(listeners: Listeners, name: bytes) -> None:
    listeners.start(Named(name), TcpLimits())


async def who_answers(address: tuple[str, int]) -> set[bytes]:
    """The names of those that answer, over UDP and TCP, to many clients."""
    return await asyncio.to_thread(_ask_all, address)


def _ask_all(address: tuple[str, int]) -> set[bytes]:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    query = bytes(12)
    names = set()
    for _ in range(ASKS):
        with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(family) as tcp:
            for sock in (udp, tcp):
                sock.settimeout(PATIENCE_S)
                sock.connect(address)
            udp.send(query)
            tcp.send(frame(query))
            names |= {udp.recv(512)[12:], tcp.recv(512)[14:]}
    return names


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_the_old_one_answers_until_the_new_one_starts_and_then_the_new_one(opened, host):
    old = opened((host, 0))
    port = old.addresses[0][1]
    asked = ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)
    start(old, b"0")
    for number in (b"1", b"2", b"3"):
        new = opened((host, port), share=True)
        before = await who_answers(asked)
        assert len(before) == 1
        start(new, number)
        assert await who_answers(asked) == {number} != before
        await old.stop()
        assert await who_answers(asked) == {number}
        old = new


async def test_a_new_one_that_goes_before_it_starts_leaves_the_old_one_answering(opened):
    old = opened()
    start(old, b"0")
    new = opened(old.addresses[0], share=True)
    await new.stop()
    assert await who_answers(old.addresses[0]) == {b"0"}


async def test_a_new_one_that_dies_after_it_started_leaves_the_old_one_answering(opened):
    old = opened()
    start(old, b"0")
    new = opened(old.addresses[0], share=True)
    start(new, b"1")
    await new.stop()
    assert await who_answers(old.addresses[0]) == {b"0"}


async def test_where_nobody_is_sharing_is_an_ordinary_start(opened):
    first = opened()
    address = first.addresses[0]
    await first.stop()
    second = opened(address, share=True)
    start(second, b"2")
    assert await who_answers(address) == {b"2"}


async def test_without_asking_for_it_nobody_shares(opened):
    address = opened().addresses[0]
    with pytest.raises(ListenError, match="gslb itself has it already"):
        opened(address)
    opened(address, share=True)
    with pytest.raises(ListenError, match="gslb itself has it already"):
        opened(address)


async def test_a_third_one_has_to_wait(opened):
    address = opened().addresses[0]
    opened(address, share=True)
    with pytest.raises(ListenError, match="a new server is just taking over from the old one"):
        opened(address, share=True)


async def test_who_does_not_share_is_not_joined(opened):
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(ListenError, match="gslb itself has it already"):
            opened(other.getsockname(), share=True)


async def test_connections_of_the_old_one_are_served_a_little_longer(opened, monkeypatch):
    monkeypatch.setattr(listen_module, "HANDOVER_S", 1.0)
    old = opened()
    start(old, b"0")
    reader, writer = await asyncio.open_connection(*old.addresses[0])
    writer.write(frame(bytes(12)))
    assert (await reader.readexactly(15))[14:] == b"0"
    new = opened(old.addresses[0], share=True)
    start(new, b"1")
    stopping = asyncio.create_task(old.stop())
    await asyncio.sleep(0)
    writer.write(frame(bytes(12)))
    assert (await reader.readexactly(15))[14:] == b"0"
    assert await reader.read() == b""
    await stopping
    writer.close()


class Client:
    """Asks in a thread and counts: UDP at a steady rate, TCP with a connection for each query."""

    PER_S = 2000

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.lost: list[str] = []
        self.answered: Counter[tuple[str, bytes]] = Counter()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._udp, self._tcp)]

        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits for what is still out."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def wait_answers(self, name: bytes) -> None:
        """Until this server has answered a while."""
        enough = self.answered["udp", name] + 50
        wait_for(lambda: self.answered["udp", name] > enough)

    def _udp(self) -> None:
        socks = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(16)]
        for sock in socks:
            sock.connect(self.address)
        waiting: set[int] = set()
        number, due = 0, time.monotonic()
        ends = None
        while ends is None or (waiting and time.monotonic() < ends):
            if ends is None:
                waiting.add(number)
                socks[number % 16].send(bytes(4) + number.to_bytes(8, "big"))
                number, due = number + 1, due + 1 / self.PER_S
                ends = time.monotonic() + PATIENCE_S if self._done.is_set() else None
            for sock in select.select(socks, [], [], max(0.0, due - time.monotonic()))[0]:
                reply = sock.recv(512)
                waiting.discard(int.from_bytes(reply[4:12], "big"))
                self.answered["udp", reply[12:]] += 1
        self.lost += [f"udp {number}" for number in waiting]
        for sock in socks:
            sock.close()

    def _tcp(self) -> None:
        while not self._done.is_set():
            try:
                with socket.create_connection(self.address, timeout=PATIENCE_S) as sock:
                    sock.sendall(frame(bytes(12)))
                    self.answered["tcp", sock.recv(512)[14:]] += 1
            except OSError as error:
                self.lost.append(f"tcp {error}")


async def test_nothing_is_lost_over_several_takeovers(opened):
    old = opened()
    address = old.addresses[0]
    start(old, b"0")
    names = [b"1", b"2", b"3", b"4", b"5"]
    client = Client(address)
    try:
        for name in names:
            new = opened(address, share=True)
            start(new, name)
            await old.stop()
            old = new
            await asyncio.to_thread(client.wait_answers, name)
    finally:
        await asyncio.to_thread(client.stop)
    assert client.lost == []
    assert {name for kind, name in client.answered if kind == "tcp"} >= set(names)

"""A listening server with an engine that only echoes, for tests of sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from gslb.core.setting import TcpLimits
from gslb.core.world import World
from gslb.serve.listen import Listeners
from gslb.serve.udp import BATCH

SHORTEST = 12


class EchoEngine:
    """Answers a packet with itself, as a response; silent below twelve octets."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str, str]] = []
        self.padding = b""

    def answer(self, packet: bytes, peer: str, transport: str) -> bytes | None:
        self.asked.append((packet, peer, transport))
        return self.reply_to(packet) if len(packet) >= SHORTEST else None

    def reply_to(self, packet: bytes) -> bytes:
        return packet[:2] + b"\x84" + packet[3:] + self.padding

    def publish(self, world: World) -> None:
        raise AssertionError("sockets do not publish")

    def stats(self) -> Mapping[tuple[str, ...], int]:
        return {("queries",): len(self.asked)}


Serve = Callable[..., Listeners]


@pytest.fixture
def engine() -> EchoEngine:
    return EchoEngine()


@pytest.fixture
async def serve(engine: EchoEngine) -> AsyncIterator[Serve]:
    """Opens and starts listeners (127.0.0.1, any port, unless told); stops them at the end."""
    opened: list[Listeners] = []

    def start(*hosts: str, limits: TcpLimits | None = None, udp_batch: int = BATCH) -> Listeners:
        listeners = Listeners([(host, 0) for host in hosts or ("127.0.0.1",)])
        opened.append(listeners)
        listeners.start(engine, limits or TcpLimits(), udp_batch)
        return listeners

    yield start
    for listeners in opened:
        await listeners.stop()


@pytest.fixture
def settled() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Gives the loop turns until what the function returns has not changed for a while."""

    async def settle(reading: Callable[[], object]) -> None:
        last, same = reading(), 0
        while same < 50:
            await asyncio.sleep(0)
            now = reading()
            last, same = now, same + 1 if now == last else 0

    return settle

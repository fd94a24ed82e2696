"""What every test of probes needs."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from gslb.probe.connection import Means
from gslb.probe.monitor import Monitor
from gslb.probe.tls import Contexts

from audience import SETTINGS, Audience
from endpoint import ALLOWED, Endpoints
from story import made_up

__all__ = ["made_up"]


@pytest.fixture
async def means() -> AsyncIterator[Means]:
    made = Means(ALLOWED, Contexts(), time.monotonic)
    yield made
    await made.searcher.stop()


@pytest.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    opened = Endpoints()
    yield opened
    await opened.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on 127.0.0.1 that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


@pytest.fixture
def audience() -> Audience:
    return Audience()


@pytest.fixture
async def monitor(audience: Audience) -> AsyncIterator[Monitor]:
    made = Monitor(audience.hear, SETTINGS, settle_gap_s=0.01)
    yield made
    await made.stop()

"""What every test of probes needs."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from gslb.probe.connection import Means
from gslb.probe.tls import Contexts

from endpoint import ALLOWED, Endpoints


@pytest.fixture
def means() -> Means:
    return Means(ALLOWED, Contexts(), time.monotonic)


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

"""A server of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Running, free_ports


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Files written, endpoints open, not started."""
    server = Running(tmp_path, *free_ports(3))
    server.write()
    server.open("127.10.1.1", "127.10.2.1")
    yield server
    for address in list(server.listeners):
        server.close(address)
    if server.process is not None and server.process.poll() is None:
        server.process.kill()
        server.process.wait(10)
    if server.process is not None and server.process.stdout is not None:
        server.process.stdout.close()

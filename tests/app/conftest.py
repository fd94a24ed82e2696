"""A server of its own for each test, or one for all tests of a module that leave it as it was."""

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


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server of a module, started; it must stop in peace."""
    server = Running(tmp_path_factory.mktemp("shared"), *free_ports(3))
    server.write()
    server.open("127.10.1.1", "127.10.2.1")
    server.start()
    try:
        yield server
        assert server.stop() == 0
        assert "Traceback" not in (server.folder / "log").read_text()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        for address in list(server.listeners):
            server.close(address)


@pytest.fixture
def shared(lasting: Running) -> Running:
    """It runs, with the first configuration and zone; of its log there is what is new."""
    lasting.renew()
    return lasting

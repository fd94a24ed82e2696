"""Real servers with everything on at once, and one that limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from conversation import Server
from running import Running, free_ports

HERE = Path(__file__).parent
TESTS = HERE.parent
# RFC 9018 appendix A.1.
SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
LISTEN = '["127.0.0.1:{port}", "127.0.0.2:{port}", "[::1]:{port}"]'
FREE = "{ per_second: 100000, slip: 2, exempt: [127.7.7.0/24] }"


def furnish(running: Running, listen: str = LISTEN, limit: str = FREE) -> None:
    """The configuration, the zone and the secret in the server's folder."""
    text = (HERE / "gslb.yaml").read_text()
    for word, value in {
        "LISTEN": listen.format(port=running.dns),
        "LIMIT": limit,
        "CONTROL": f"127.0.0.1:{running.control}",
        "DATA": str(TESTS.parent / "geodata" / "lab.mmdb"),
    }.items():
        text = text.replace(f" {word}", f" {value}")
    running.config.write_text(text)
    zones = running.folder / "zones"
    zones.mkdir(exist_ok=True)
    parts = (TESTS / "differential" / "example.test.zone", HERE / "more.zone")
    (zones / "example.test.zone").write_text("\n".join(part.read_text() for part in parts))
    secret = running.folder / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)


@contextmanager
def serving(folder: Path, listen: str = LISTEN, limit: str = FREE) -> Iterator[Running]:
    """A server until the end of the block; it must stop in peace."""
    running = Running(folder, *free_ports(3))
    furnish(running, listen, limit)
    try:
        running.start()
        yield running
        assert running.stop() == 0, running.log
        assert "Traceback" not in running.log, running.log
    finally:
        if running.process is not None:
            running.process.kill()
            running.stop()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The one server of the session: steering, ECS, cookies, NSID and rate limiting are on."""
    with serving(tmp_path_factory.mktemp("rfc")) as running:
        yield running


@pytest.fixture(scope="session")
def server(whole: Running) -> Server:
    """Where it is asked."""
    return Server(whole.dns)


@pytest.fixture(scope="session")
def another() -> Callable[..., AbstractContextManager[Running]]:
    """`with another(tmp_path, listen=, limit=) as running`: a server for one test or module."""
    return serving

"""What systemd hears, over a real socket."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from gslb.app.notify import keep_alive, notify

from running import Running


class Manager:
    """The service manager's socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(30)

    def hear(self, unless: str = "WATCHDOG=1") -> list[str]:
        """The lines of the next message that is not the watchdog's."""
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            if lines != [unless]:
                return lines


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def test_a_life_is_told_from_ready_to_stopping(running: Running, manager: Manager) -> None:
    running.start(NOTIFY_SOCKET=manager.socket.getsockname())
    assert manager.hear() == ["READY=1"]
    running.signal(signal.SIGHUP)
    first, second = manager.hear()
    assert first == "RELOADING=1"
    name, _, at = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(at) > 0
    assert manager.hear() == ["READY=1"]
    running.stop()
    assert manager.hear() == ["STOPPING=1"]


def test_a_reload_that_fails_ends_too(running: Running, manager: Manager) -> None:
    running.start(NOTIFY_SOCKET=manager.socket.getsockname())
    running.config.write_text("")
    running.signal(signal.SIGHUP)
    assert [manager.hear()[0] for _ in range(3)] == ["READY=1", "RELOADING=1", "READY=1"]
    assert running.events("reload_failed")


def test_the_watchdog_hears_pings_in_time(running: Running, manager: Manager) -> None:
    running.start(NOTIFY_SOCKET=manager.socket.getsockname(), WATCHDOG_USEC="300000")
    manager.socket.settimeout(10)
    for _ in range(4):
        assert manager.hear(unless="READY=1") == ["WATCHDOG=1"]


def test_a_server_that_is_stuck_is_silent_so_that_the_watchdog_ends_it(
    running: Running, manager: Manager
) -> None:
    running.start(NOTIFY_SOCKET=manager.socket.getsockname(), WATCHDOG_USEC="300000")
    assert manager.hear(unless="READY=1") == ["WATCHDOG=1"]
    running.signal(signal.SIGSTOP)  # as good as a loop that never comes back
    manager.socket.settimeout(1)
    with suppress(TimeoutError):
        for _ in range(3):  # one may have been under way
            manager.hear(unless="")
        pytest.fail("it still says that it is alive")
    running.signal(signal.SIGCONT)
    manager.socket.settimeout(30)
    assert manager.hear(unless="") == ["WATCHDOG=1"]
    assert running.addresses() == {"127.10.1.1"}


@pytest.mark.parametrize(
    ("wanted", "pid"), [("", ""), ("0", ""), ("soon", ""), ("1000000", "1")], ids=str
)
async def test_nobody_is_pinged_unless_a_watchdog_waits_for_us(
    monkeypatch: pytest.MonkeyPatch, wanted: str, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", wanted)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    await keep_alive()  # would not return


def test_an_abstract_socket_is_told_and_a_missing_one_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"gslb-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    notify("READY=1")
    assert manager.hear() == ["READY=1"]
    manager.socket.close()
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")

"""Restarts without a gap: sockets that somebody else holds, and servers that take over."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest
from gslb.app import succession
from gslb.app.succession import Predecessor, claim, find_predecessor, succeeding
from gslb.errors import ListenError
from gslb.serve.pulse import SLACK_S, STALE_S

from running import CONFIG, ZONE, Client, Running, wait_for

# What systemd does: the sockets become descriptors 3 and 4, the variables say so.
ACTIVATE = """\
import os, sys
os.environ |= {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())}
os.dup2(int(sys.argv[1]), 200), os.dup2(int(sys.argv[2]), 201)
os.dup2(200, 3), os.dup2(201, 4)
os.execv(sys.executable, [sys.executable, "-m", "gslb", "serve", "-c", sys.argv[3]])
"""
HELD = CONFIG.replace(', "[::1]:{dns}"', "")
# While nobody reads, queries wait in a socket that has room for 270 (net.core.rmem_default).
PER_S = 20
FRESH_S = STALE_S - SLACK_S  # who has waited longer has asked elsewhere, and gets no answer


class Manager:
    """A service manager that holds the sockets."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.sockets = [
            socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ]
        for sock in self.sockets:
            sock.bind(("127.0.0.1", running.dns))
        self.sockets[1].listen(64)
        self.ready_at: list[float] = []
        running.write(HELD)

    def start(self) -> None:
        """A server, ready."""
        running = self.running
        numbers = [sock.fileno() for sock in self.sockets]
        with open(running.folder / "log", "w") as log:
            running.process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, *map(str, numbers), str(running.config)],
                pass_fds=numbers,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert running.process.stdout is not None
        assert running.process.stdout.readline().startswith("ready "), running.log
        self.ready_at.append(time.monotonic())

    def lost(self, client: Client) -> list[float]:
        """When queries without an answer were sent that a server has found when it was ready.

        A machine may be so slow that some are stale by then.
        """
        found = ((at, [ready for ready in self.ready_at if ready > at]) for at in client.unanswered)
        return [at for at, later in found if not later or min(later) - at < FRESH_S]


@pytest.fixture
def manager(running: Running) -> Iterator[Manager]:
    made = Manager(running)
    yield made
    for sock in made.sockets:
        sock.close()


def test_sockets_of_the_service_manager_lose_no_query_over_restarts(manager: Manager) -> None:
    running = manager.running
    manager.start()
    with Client(running.dns, per_s=PER_S) as client:
        for _ in range(2):
            assert running.stop_process() == 0
            # A connection made while nobody is there is answered by who comes.
            with socket.create_connection(("127.0.0.1", running.dns), timeout=30) as connection:
                query = dns.message.make_query("txt.gslb.example.com.", "TXT")
                dns.query.send_tcp(connection, query)
                manager.start()
                assert dns.query.receive_tcp(connection)[0].answer
    assert manager.lost(client) == []
    assert client.asked > PER_S
    assert running.stop_process() == 0
    assert "Traceback" not in running.log


def test_what_a_killed_server_left_in_the_socket_is_answered_by_the_next(manager: Manager) -> None:
    running = manager.running
    manager.start()
    running.kill()
    with Client(running.dns, per_s=PER_S) as client:
        wait_for(lambda: client.asked >= 10)
        manager.start()
    assert manager.lost(client) == []
    assert client.replies
    assert running.stop_process() == 0


@pytest.fixture
def successors(running: Running) -> Iterator[list[Running]]:
    """Three more servers of the same folder, to be started."""
    made = [Running(running.folder, running.dns, running.control, running.port) for _ in range(3)]
    yield made
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.kill()


def test_a_server_that_takes_over_loses_no_query(
    running: Running, successors: list[Running]
) -> None:
    running.start()
    query = dns.message.make_query("txt.gslb.example.com.", "TXT")
    done = threading.Event()
    failures: list[BaseException] = []
    asked = 0

    def ask_by_tcp() -> None:
        """A connection for each query."""
        nonlocal asked
        try:
            while not done.is_set():
                assert dns.query.tcp(query, "127.0.0.1", timeout=10, port=running.dns).answer
                asked += 1
                done.wait(0.005)  # the successor starts on the same cores
        except BaseException as error:
            failures.append(error)

    by_tcp = threading.Thread(target=ask_by_tcp)
    with Client(running.dns) as client:
        by_tcp.start()
        first = running
        for number, second in enumerate(successors):
            serial = str(2026112002 + number)
            text = ZONE.replace('"hello"', f'"{number}"').replace("2026112001", serial)
            running.write(zone=text)
            second.start("--replace")
            assert first.process is not None
            assert first.process.wait(20) == 0
            assert first.process.stdout is not None
            first.process.stdout.close()
            reply = second.ask("txt", "TXT")
            assert reply.answer[0][0].strings == (str(number).encode(),)
            assert (running.folder / "state/pid").read_text() == f"{second.pid}\n"
            assert second.get("/readyz")[0] == 200
            assert [line for line in second.events("replace") if "it has ended" in line]
            first = second
        done.set()
        by_tcp.join()
    assert failures == []
    assert asked > 100
    assert client.lost == 0
    assert client.asked > 3000
    assert first.stop_process() == 0


def test_with_nobody_there_it_is_an_ordinary_start(running: Running) -> None:
    running.start("--replace")
    (line,) = running.events("replace")
    assert "an ordinary start" in line
    running.kill()
    assert (running.folder / "state/pid").read_text() == f"{running.pid}\n"
    running.start("--replace")  # what was left behind says nothing
    assert "an ordinary start" in running.log
    assert running.addresses() == {"127.10.1.1"}


def test_a_successor_that_cannot_start_leaves_the_old_server_alone(running: Running) -> None:
    running.start()
    running.write(CONFIG.replace('"[::1]:{dns}"', '"192.0.2.1:{dns}"'))
    command = [sys.executable, "-m", "gslb", "serve", "-c", str(running.config), "--replace"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "this machine has no such address" in done.stderr
    assert running.addresses() == {"127.10.1.1"}
    assert running.stop_process() == 0


def test_an_ordinary_second_server_is_refused(running: Running) -> None:
    running.start()
    command = [sys.executable, "-m", "gslb", "serve", "-c", str(running.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"(pid {running.pid})" in done.stderr
    assert running.addresses() == {"127.10.1.1"}


def test_only_a_process_that_holds_the_file_is_a_predecessor(tmp_path: Path) -> None:
    state = str(tmp_path)
    assert find_predecessor(state) is None
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    assert find_predecessor(state) is None  # not locked
    descriptor, problems = claim(state)
    assert descriptor is not None
    assert problems == ()
    found = find_predecessor(state)
    assert found is not None
    assert found.pid == os.getpid()
    os.close(found.pidfd)
    _, (problem,) = claim(state)
    assert "another server has this state directory" in problem.what
    os.close(descriptor)
    # Locked by us, with somebody else's number in it: nobody to signal.
    with open(tmp_path / "pid", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("1\n")
        file.flush()
        assert find_predecessor(state) is None


def test_only_one_server_at_a_time_takes_over(tmp_path: Path) -> None:
    """The second would end the first, which has hardly begun to answer."""
    state = str(tmp_path)
    with succeeding(state):
        with pytest.raises(ListenError, match="is just taking over") as refused, succeeding(state):
            pass
        assert state in str(refused.value)
    with succeeding(state):  # the lock went with the one that had it
        pass
    with succeeding(str(tmp_path / "nowhere")):  # nothing to take over, an ordinary start
        pass


def test_two_servers_that_want_to_take_over_end_as_one(
    running: Running, successors: list[Running]
) -> None:
    running.start()
    second = successors[0]
    with succeeding(str(running.folder / "state")):  # one of them, halfway through
        command = [sys.executable, "-m", "gslb", "serve", "-c", str(running.config), "--replace"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "another server is just taking over" in done.stderr
    assert running.addresses() == {"127.10.1.1"}
    second.start("--replace")
    assert running.process is not None
    assert running.process.wait(20) == 0
    assert second.addresses() == {"127.10.1.1"}


def test_a_predecessor_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "END_S", 0.05)
    deaf = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL
    )
    deaf.send_signal(signal.SIGSTOP)  # SIGTERM waits until it goes on, which it never does
    os.waitid(os.P_PID, deaf.pid, os.WSTOPPED)
    assert asyncio.run(Predecessor(deaf.pid, os.pidfd_open(deaf.pid)).end()) is False
    assert deaf.wait(10) == -signal.SIGKILL


def test_a_state_of_somebody_else_is_no_ordinary_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server has the ports: better say why it is not taken over than that they are taken."""
    descriptor, _ = claim(str(tmp_path))
    assert descriptor is not None

    def refuse(folder: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    monkeypatch.setattr("gslb.app.succession.os.listdir", refuse)
    with pytest.raises(ListenError, match="Permission denied; be the user"):
        find_predecessor(str(tmp_path))
    os.close(descriptor)

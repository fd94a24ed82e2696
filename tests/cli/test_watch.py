"""Commands that take a while, in a pipe and on a terminal, until Ctrl-C."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from contextlib import contextmanager

import pytest

from .stand import DOWN, TARGET, health, standing

WATCH = ("health", "--watch")
# The command as it is, but that nobody has to wait a second for each look.
HASTY = """
import sys
from gslb import cli, display
display.EVERY_S = 0.1
sys.exit(cli.main())
"""


@pytest.fixture
def server():
    with standing() as stand:
        yield stand


@contextmanager
def running(server, stdout, *words):
    """The command as a process; it is killed if nothing else ended it."""
    command = [sys.executable, "-c", HASTY, *words, "--server", server.url]
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment | {"TERM": "xterm"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def interrupt(process, status=0):
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == status
    assert process.stderr.read() == b""


def test_in_a_pipe_there_is_a_line_for_every_change_and_ctrl_c_is_the_end(server):
    with running(server, subprocess.PIPE, *WATCH) as process:

        def line():
            return process.stdout.readline().decode()  # it comes at once, not when a buffer is full

        assert line() == "1 target: 1 up\n"
        server.said["/v1/health"] = (200, health(TARGET, DOWN))
        assert line().startswith("18:40:00Z web 192.0.2.11:80: down; connect refused (2 in a row)")
        for _ in range(3):  # nothing is said of looks that find nothing new
            assert server.came.acquire(timeout=30)
        server.said["/v1/health"] = (503, {"detail": "stopping"})
        assert line() == f"{server.url}: stopping\n"
        server.said["/v1/health"] = (200, health(TARGET))
        assert line() == "it answers again\n"
        assert line() == "18:40:00Z web 192.0.2.11:80: no longer checked\n"
        interrupt(process)


def test_on_a_terminal_the_picture_is_drawn_again_and_the_last_one_stays(server):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = b""
    with running(server, theirs, *WATCH) as process:

        def until(text):
            nonlocal shown
            while text not in shown:
                assert select.select([ours], [], [], 30)[0], shown.decode()
                shown += os.read(ours, 65536)

        until(b"1 up")
        server.said["/v1/health"] = (200, health(TARGET, DOWN))
        until(b"timeout after 2.0 s")
        many = [TARGET | {"address": f"192.0.2.{host}"} for host in range(100)]
        server.said["/v1/health"] = (200, health(DOWN, *many))
        until(b"100 more are up and well")
        bad = [target | {"state": "down"} for target in many]
        server.said["/v1/health"] = (200, health(DOWN, *bad))
        until(b"more lines; a pipe gets all)")  # the worst is what is seen
        assert b"192.0.2.99:80" not in shown
        server.said["/v1/health"] = (503, {"detail": "stopping"})
        until(b"stopping")
        interrupt(process)
        until(b"\x1b[?25h")  # the cursor is there again
    os.close(theirs)
    os.close(ours)


def test_a_server_that_is_not_there_at_first_is_no_watch(server, gslb):
    run = gslb("health", "--watch", "--server", "127.0.0.1:1")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr == "gslb: http://127.0.0.1:1: Connection refused\n"
    server.said["/v1/health"] = (401, {"detail": "no"})
    run = gslb("health", "--watch", "--server", server.url)
    assert (run.returncode, run.stdout) == (1, "")


def test_ctrl_c_does_not_wait_for_a_server_that_hangs(server):
    server.held.clear()
    with running(server, subprocess.PIPE, "drain", "fra", "--why", "x") as process:
        assert server.came.acquire(timeout=30)
        interrupt(process, 130)

"""The command line as a process: exit statuses, closed pipes, full disks, Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
import threading

import pytest

from .conftest import serving
from .test_ask import answering


def test_statuses_are_those_of_the_process(gslb):
    assert gslb("--version").returncode == 0
    assert gslb("check").returncode == 1
    assert gslb("check", "--nope").returncode == 2
    assert gslb("ask", "a", "@127.0.0.1:1").returncode == 3


def test_there_is_no_colour_in_a_pipe(gslb):
    with serving(answering("192.0.2.10")) as (host, port):
        run = gslb("ask", "a.example", f"@{host}:{port}")
    assert "192.0.2.10" in run.stdout
    assert "\x1b" not in run.stdout + run.stderr


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_there_is_colour_on_a_terminal_unless_it_is_not_wanted(gslb, environment, coloured):
    ours, theirs = pty.openpty()
    run = gslb("check", "nope.yaml", stdout=theirs, env={"TERM": "xterm"} | environment)
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert (run.returncode, run.stderr) == (1, "")
    assert b"nope.yaml" in shown
    assert (b"\x1b[1;31merror" in shown) == coloured


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--repeat", "2"]])
def test_a_reader_that_leaves_is_no_traceback(gslb, arguments):
    with serving(answering("192.0.2.10")) as (host, port):
        if arguments[0] == "ask":
            arguments = [*arguments, "a.example", f"@{host}:{port}"]
        reader, writer = os.pipe()
        os.close(reader)
        run = gslb(*arguments, stdout=writer)
        os.close(writer)
    assert (run.returncode, run.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(gslb):
    with open("/dev/full", "w") as full:
        run = gslb("--version", stdout=full)
    assert run.returncode == 1
    assert run.stderr == "gslb: output: No space left on device\n"


def test_a_terminal_that_lacks_a_character_is_no_error(gslb):
    run = gslb("check", "ä.yaml", env={"PYTHONIOENCODING": "ascii"})
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith(r"\xe4.yaml: error: ")


def test_ctrl_c_is_no_traceback():
    asked = threading.Event()

    def silence(query, transport):
        asked.set()
        return []

    with serving(silence) as (host, port):
        command = [sys.executable, "-m", "gslb", "ask", "a.example", f"@{host}:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")

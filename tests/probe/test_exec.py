"""The exec check with real programs, well-behaved and not."""

from __future__ import annotations

import asyncio
import gc
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.exec import MOST_KEPT, MOST_QUOTED, _start, command_for, first_line
from hypothesis import given
from hypothesis import strategies as st

SHELL = "/bin/sh"
HERE = Target("own", "192.0.2.1", 8080)


def running(script: str, timeout_s: float = 10.0) -> Check:
    return Check("own", "exec", 0, timeout_s=timeout_s, command=(SHELL, "-c", script))


async def run(script: str, means: Means, timeout_s: float = 10.0) -> Result:
    return await attempt(running(script, timeout_s), HERE, means)


async def written(path: Path) -> str:
    """What a program writes there, as soon as it does."""
    async with asyncio.timeout(10):
        while not (text := content(path)).endswith("\n"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return text.strip()


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_waited_for(pid: int = -1) -> bool:
    """Whether there is such a child, alive or a zombie; -1 is any."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is no zombie, or a zombie of ours."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    state, parent = status.rpartition(")")[2].split()[:2]
    return state not in "ZX" or int(parent) == os.getpid()


async def dies(pid: int) -> bool:
    """Waits until it is gone; the kernel takes a moment."""
    async with asyncio.timeout(10):
        while is_alive(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return True


# ---- success and failure -----------------------------------------------------------------


async def test_status_0_is_good(means: Means) -> None:
    result = await run("echo fine", means)
    assert (result.ok, result.reason) == (True, "")
    assert result.latency_s is not None
    assert 0 < result.latency_s < 10


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 2", "exit status 2"),
        ("echo; echo ' disk full ' >&2; echo more; exit 1", "exit status 1: disk full"),
        ("printf 'a\\033[2Jb\\000c\\n'; exit 3", "exit status 3: a?[2Jb?c"),
        ("printf '\\377\\376\\n'; exit 3", "exit status 3: ��"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("kill -TERM $$", "killed by SIGTERM"),
        ("kill -40 $$", "killed by signal 40"),
    ],
)
async def test_any_other_end_is_told(means: Means, script: str, reason: str) -> None:
    result = await run(script, means)
    assert (result.ok, result.reason, result.latency_s) == (False, reason, None)


async def test_inverted_a_failure_is_good(means: Means) -> None:
    assert (await attempt(replace(running("exit 1"), invert=True), HERE, means)).ok
    result = await attempt(replace(running("exit 0"), invert=True), HERE, means)
    assert result.reason == "answers, and invert is set"


async def test_a_program_that_is_not_there_is_the_reason_and_never_a_success(
    means: Means, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    script = tmp_path / "script"
    script.write_text("no program\n")
    script.chmod(0o755)
    for program, why in (
        (str(tmp_path / "missing"), "no such file or directory"),
        ("no-such-program-anywhere", "no such file or directory"),
        (str(plain), "permission denied"),
        (str(script), "exec format error"),
        (str(tmp_path), "permission denied"),
    ):
        check = Check("own", "exec", 0, command=(program,))
        result = await attempt(check, HERE, means)
        assert (result.ok, result.reason) == (False, f"the command cannot be run: {why}")
        assert not (await attempt(replace(check, invert=True), HERE, means)).ok


async def test_what_may_not_be_probed_is_not_handed_to_a_program(
    means: Means, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    careful = Means((), means.contexts, means.clock)
    check = running(f"touch {shlex.quote(str(mark))}")
    result = await attempt(check, replace(HERE, address="127.0.0.1"), careful)
    assert result.reason == "not probed: 127.0.0.1 is in 127.0.0.0/8 (loopback)"
    assert not mark.exists()


# ---- what it is given --------------------------------------------------------------------


async def test_address_and_port_are_arguments_and_never_a_shell(
    means: Means, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(told))}\n')
    program.chmod(0o755)
    odd = ("{address}", "[{address}]:{port}", "$(id); `id` | {", "{command}", "{{port}}", "")
    check = Check("own", "exec", 0, command=(str(program), *odd))
    assert (await attempt(check, Target("own", "2001:db8::1", 53), means)).ok
    assert told.read_text().split("\n") == [
        "2001:db8::1",
        "[2001:db8::1]:53",
        "$(id); `id` | {",
        "{command}",
        "{53}",
        "",
        "",
    ]


async def test_it_has_no_environment_no_input_and_no_descriptors_of_ours(
    means: Means, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        script = (
            f"{{ /usr/bin/env -0 | wc -c; readlink /proc/self/fd/0; pwd;"
            f" ls /proc/$$/fd | tr '\\n' ' '; echo; }} > {shlex.quote(str(told))}"
        )
        assert (await run(f"unset PWD OLDPWD SHLVL _; {script}", means)).ok
    environment, stdin, folder, descriptors = told.read_text().splitlines()
    assert int(environment) <= len("PWD=/\0SHLVL=1\0_=/usr/bin/env\0")  # the shell's own
    assert (stdin, folder) == ("/dev/null", "/")
    assert set(descriptors.split()) <= {"0", "1", "2", "3", "10", "255"}


# ---- how it ends -------------------------------------------------------------------------


async def test_at_the_timeout_it_is_killed_with_its_children(means: Means, tmp_path: Path) -> None:
    child, own = tmp_path / "child", tmp_path / "own"
    script = f"trap '' TERM INT HUP; echo $$ > {own}; sleep 1000 & echo $! > {child}; wait; wait"
    result = await run(script, means, 0.5)
    assert result.reason == "timeout after 0.5 s"
    assert not is_alive(int(own.read_text()))
    assert await dies(int(child.read_text()))


async def test_children_that_it_leaves_behind_are_killed(means: Means, tmp_path: Path) -> None:
    child = tmp_path / "child"
    result = await run(f"sleep 1000 & echo $! > {child}", means)
    assert (result.ok, result.reason) == (True, "")
    assert await dies(int(child.read_text()))


async def test_who_stops_the_probe_kills_it_and_leaves_no_zombie(
    means: Means, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    probe = asyncio.create_task(run(f"echo $$ > {own}; exec sleep 1000", means))
    pid = int(await written(own))
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert not is_alive(pid)
    assert not is_waited_for(pid)


async def test_a_flood_of_output_is_neither_kept_nor_a_hindrance(means: Means) -> None:
    result = await run("head -c 1000000 /dev/zero | tr '\\0' x; exit 7", means, 60.0)
    assert result.reason == f"exit status 7: {'x' * (MOST_QUOTED - 1)}…"


async def test_no_more_than_is_promised_of_a_flood_is_kept_while_others_get_their_turns(
    means: Means,
) -> None:
    program = _start(["/bin/sh", "-c", "exec yes"])
    started = os.times()
    for _ in range(20):
        await asyncio.sleep(0.01)
    spent = os.times().user + os.times().system - started.user - started.system
    kept = len(program.output)
    program.kill()
    await program.gone()
    assert kept == MOST_KEPT
    assert spent < 0.2  # it is read now and then, not whenever there is more
    assert program.status == -9


async def test_who_closes_its_output_and_goes_on_is_waited_for(means: Means) -> None:
    result = await run("exec >&- 2>&-; sleep 0.1; exit 5", means)
    assert result.reason == "exit status 5"


async def test_many_at_once_leave_neither_descriptors_nor_processes(means: Means) -> None:
    await run("exit 0", means)
    before = os.listdir("/proc/self/fd")
    results = await asyncio.gather(
        *(run("exit 0" if n % 2 else "sleep 1000", means, 1.5) for n in range(40))
    )
    assert sum(result.ok for result in results) == 20
    assert len(os.listdir("/proc/self/fd")) == len(before)
    gc.collect()  # an unreaped process would warn here
    assert not is_waited_for()


async def test_the_loop_goes_on_while_it_runs(means: Means) -> None:
    started = time.monotonic()
    probes = [asyncio.create_task(run("sleep 0.3", means)) for _ in range(5)]
    turns = 0
    while not all(probe.done() for probe in probes):
        await asyncio.sleep(0.01)
        turns += 1
    assert all(result.ok for result in await asyncio.gather(*probes))
    assert turns >= 5
    assert time.monotonic() - started < 60


AS_FIRST_PROCESS = """
import asyncio, ctypes, os, sys, time
from gslb.core.check import Check, Target
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.tls import Contexts

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

async def main():
    means = Means((), Contexts(), time.monotonic)
    for script in ("sleep 1000 & sleep 1000 & exit 0", "sleep 1000 & sleep 1000"):
        check = Check("own", "exec", 0, timeout_s=0.3, command=("/bin/sh", "-c", script))
        print((await attempt(check, Target("own", "192.0.2.1", 1), means)).reason)
    try:
        while True:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            await asyncio.sleep(0.01)
    except ChildProcessError:
        print("no child is left")

asyncio.run(main())
"""


def test_what_falls_to_a_containers_first_process_is_reaped() -> None:
    program = [sys.executable, "-c", AS_FIRST_PROCESS]
    run = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""
    assert run.stdout.splitlines() == ["", "timeout after 0.3 s", "no child is left"]


# ---- in words ----------------------------------------------------------------------------


@given(st.binary(max_size=MOST_KEPT))
def test_the_first_line_is_short_and_printable(output: bytes) -> None:
    line = first_line(output)
    assert line.isprintable()
    assert len(line) <= MOST_QUOTED
    assert line == line.strip()


@given(st.text(min_size=1), st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.integers(1, 65535))
def test_an_argument_without_a_placeholder_stays_as_it_is(
    argument: str, address: str, port: int
) -> None:
    check = Check("own", "exec", 0, command=("{address}", argument))
    program, found = command_for(check, Target("own", address, port))
    assert program == "{address}"
    assert found == argument or "{address}" in argument or "{port}" in argument


# Run as root in a process of its own: becomes nobody, and probes with what becomes root again.
AS_NOBODY = """
import asyncio, os, sys, time
from gslb.core.check import Check, Target
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe import exec, tls

async def tell(script):
    check = Check("own", "exec", 0, timeout_s=0.3, command=(sys.argv[1], "-pc", script))
    means = Means((), tls.Contexts(), time.monotonic)
    print((await attempt(check, Target("own", "192.0.2.1", 0), means)).reason)

os.setresuid(65534, 65534, 65534)
asyncio.run(tell("exec setpriv --reuid 0 true"))
asyncio.run(tell("exec setpriv --reuid 0 sleep 2"))
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_a_program_that_becomes_somebody_else_ends_as_any_other() -> None:
    """As sudo does: who probes may not signal it then."""
    with tempfile.TemporaryDirectory() as folder:
        shell = Path(folder, "sh")
        shutil.copy(SHELL, shell)
        shell.chmod(0o4755)
        Path(folder).chmod(0o755)
        command = [sys.executable, "-c", AS_NOBODY, str(shell)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (told.stdout, told.stderr) == ("\ntimeout after 0.3 s\n", "")

"""The `exec` check: an endpoint works if the operator's program says so, by exit status 0.

Knows: how a program is started without a shell and an environment, how it ends with all that it
started, and how much of what it says is kept. Refuses to know: what it does. Invariant: no
thread waits for it and nothing of it blocks the loop; whatever ends the probe kills its whole
process group, and it is reaped.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from contextlib import suppress
from typing import Final

from gslb.core.check import Check, Target
from gslb.probe.connection import Means, admit
from gslb.probe.finding import Finding
from gslb.probe.reason import ProbeError, UnfitError, failure

MOST_KEPT: Final = 4096
MOST_QUOTED: Final = 120
_PIPE: Final = 64 * 1024
# Who says more than is kept is read so often, not whenever there is more.
_PATIENCE_S: Final = 0.01
# How long a killed program may take to go before the next probe; it is reaped whenever it does.
_REAP_S: Final = 1.0
_ORPHAN_S: Final = 0.05


async def probe(check: Check, target: Target, means: Means, finding: Finding) -> None:
    """Run the command and judge its end; the latency is how long it ran.

    Raises ProbeError, UnfitError if there is nothing that can be run, or OSError if it is our own
    fault (no processes, no descriptors).
    """
    admit(target.address, means)
    started = means.clock()
    program = _start(command_for(check, target))
    try:
        await program.ended.wait()
        finding.latency_s = means.clock() - started
    finally:
        program.kill()
        await program.gone()
    _judge(program)


def command_for(check: Check, target: Target) -> list[str]:
    """The command with `{address}` and `{port}` in its arguments replaced, and nothing else."""
    program, *arguments = check.command
    found = [program]
    for argument in arguments:
        text = argument.replace("{address}", target.address)
        found.append(text.replace("{port}", str(target.port)))
    return found


def _judge(program: _Program) -> None:
    status = program.status
    if status == 0:
        return
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        raise ProbeError(f"killed by {name}")
    said = first_line(bytes(program.output))
    raise ProbeError(f"exit status {status}" + (f": {said}" if said else ""))


def first_line(output: bytes) -> str:
    """The first line that says something, nothing in it a terminal obeys, shortened."""
    for line in output.decode(errors="replace").splitlines():
        text = "".join(c if c.isprintable() else "?" for c in line.strip())
        if text:
            return text if len(text) <= MOST_QUOTED else text[: MOST_QUOTED - 1] + "…"
    return ""


def _start(command: list[str]) -> _Program:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        if error.errno == errno.EAGAIN:  # no process to be had
            raise
        raise UnfitError(f"the command cannot be run: {failure(error)}") from error
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        return _Program(process, reading)
    except OSError:  # no descriptor left to watch it by
        os.close(reading)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


class _Program:
    """A running program. `ended` is set when it has exited, `status` as subprocess has it."""

    def __init__(self, process: subprocess.Popen[bytes], reading: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch: int | None = os.pidfd_open(process.pid)
        self.ended = asyncio.Event()
        self.status = 0
        self.output = bytearray()
        self._process = process
        self._reading: int | None = reading
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(reading, False)
        self._loop.add_reader(self._watch, self._exit)
        self._loop.add_reader(reading, self._read)

    def kill(self) -> None:
        """Kill it, if it runs, with all that it started; hear no more of what it says."""
        if self._watch is not None:  # not reaped yet, so the number is still its group's
            self._kill_group()
        self._stop_reading()

    def _kill_group(self) -> None:
        with suppress(PermissionError):  # it has become somebody else (sudo): out of our reach
            os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Return when it is reaped, soon after `kill`; what the kernel holds back is left to
        the loop."""
        if self._watch is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_REAP_S):
                    await self.ended.wait()

    def _exit(self) -> None:
        """It has exited and is not reaped: its number still names its group."""
        assert self._watch is not None
        self._loop.remove_reader(self._watch)
        os.close(self._watch)
        self._watch = None
        self._read()
        self._stop_reading()
        self._kill_group()
        self.status = self._process.wait()
        self.ended.set()
        self._reap_orphans()

    def _reap_orphans(self) -> None:
        """Reap what it left behind if that has fallen to us, as it does to a container's first
        process. As long as there is one, its group's number is nobody else's."""
        try:
            while os.waitpid(-self._process.pid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        self._loop.call_later(_ORPHAN_S, self._reap_orphans)

    def _read(self) -> None:
        """Take what it says: up to MOST_KEPT is kept, the rest only taken, now and then."""
        if self._reading is None:
            return
        try:
            octets = os.read(self._reading, _PIPE)
        except BlockingIOError:
            return
        self.output += octets[: MOST_KEPT - len(self.output)]
        if not octets:
            self._stop_reading()
        elif len(self.output) == MOST_KEPT and self._watch is not None:
            self._loop.remove_reader(self._reading)
            self._pause = self._loop.call_later(_PATIENCE_S, self._resume)

    def _resume(self) -> None:
        if self._reading is not None:
            self._loop.add_reader(self._reading, self._read)

    def _stop_reading(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        if self._reading is not None:
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None

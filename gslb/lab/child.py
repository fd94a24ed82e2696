"""A process that the lab started: its ready line, its log, its end.

Knows: asyncio's subprocesses, the leash. Refuses to know: what runs in it. Invariant: a
child is in a group of its own, so that Ctrl-C reaches the lab alone, which then stops its
children in order.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path
from typing import Final

from gslb.lab.world import LabError

READY_S: Final = 60.0
STOP_S: Final = 5.0
TAIL_LINES: Final = 15


class Child:
    """A running child. What it prints is appended to `log`; make it with `start_child`."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name: Final = name
        self.log: Final = log
        self._process: Final = process
        self._ready: Final = asyncio.get_running_loop().create_future()
        self._reader: Final = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """None while it runs; then the exit status, or minus the signal that ended it."""
        return self._process.returncode

    async def wait_ready(self) -> None:
        """Returns when it printed a line that begins with `ready`.

        Raises LabError, with the end of its log, if it ends before that or takes too long.
        """
        try:
            ready = await asyncio.wait_for(asyncio.shield(self._ready), READY_S)
        except TimeoutError:
            ready = False
        if not ready:
            how = f"is not ready after {READY_S:.0f} s" if self.status is None else "did not start"
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            head = f"{self.name} {how}; {self.log} ends:"
            raise LabError("\n  ".join([head, *lines[-TAIL_LINES:]]))

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not mind it. Does nothing if it has ended."""
        if self.status is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
        await self._reader

    async def kill(self) -> None:
        """SIGKILL: it ends as with a machine that loses its power."""
        if self.status is None:
            self._process.kill()
        await self._reader

    async def _read(self) -> None:
        """Copies the output into the log until the process has ended."""
        assert self._process.stdout is not None  # asked for as a pipe
        with self.log.open("ab", buffering=0) as log:
            async for line in self._process.stdout:
                log.write(line)
                if line.startswith(b"ready") and not self._ready.done():
                    self._ready.set_result(True)
        await self._process.wait()
        if not self._ready.done():
            self._ready.set_result(False)


async def start_child(name: str, module: str, arguments: list[str], folder: Path) -> Child:
    """Starts `python -m MODULE ARGUMENTS…`, logging to NAME.log in a folder."""
    process = await asyncio.create_subprocess_exec(
        # -P: no module comes from the working folder, which may be anybody's.
        *(sys.executable, "-P", "-m", "gslb.lab.leash", str(os.getpid())),
        *(sys.executable, "-P", "-m", module, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        process_group=0,
    )
    return Child(name, process, folder / f"{name}.log")

"""The machine: its cores, what a process of it has used, and starting one on a given core.

Knows: /proc and CPU affinity on Linux. Refuses to know: what the process does. Invariant: times
are seconds of CPU, memory is octets, and only processes that were started here are ever stopped.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU that a process with all its threads has used."""

    user_s: float
    system_s: float

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user_s - earlier.user_s, self.system_s - earlier.system_s)


@dataclass(frozen=True, slots=True)
class Memory:
    """Octets in RAM: `rss` counts shared pages whole, `pss` by share (proc(5), smaps_rollup)."""

    rss: int
    pss: int


@cache
def cores() -> tuple[int, int]:
    """One core for the server and one for the questions; the same one if there is no other.

    Found once: while this process stays on one of them, that is all that it could find.
    """
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1] if len(usable) > 1 else usable[0]


@contextmanager
def staying_on(core: int) -> Iterator[None]:
    """Keeps this process itself on one core for a while."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def describe() -> str:
    """Processor, cores, kernel and Python, in one line."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    usable = len(os.sched_getaffinity(0))
    return (
        f"{model}, {usable} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )


def parse_stat(text: str) -> Cpu:
    """User and system time from /proc/PID/stat (proc(5), fields 14 and 15).

    The second field is the program's name, which may hold spaces and parentheses.
    """
    fields = text.rpartition(")")[2].split()
    return Cpu(int(fields[11]) * TICK_S, int(fields[12]) * TICK_S)


def cpu(pid: int) -> Cpu:
    """What the process has used until now; its children are not counted."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace"))


def memory(pid: int) -> Memory:
    """The process and its children."""
    kilobytes = {"Rss": 0, "Pss": 0}
    pids = [pid]
    while pids:
        one = Path(f"/proc/{pids.pop()}")
        for line in (one / "smaps_rollup").read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(":")
            if key in kilobytes:
                kilobytes[key] += int(value.split()[0])
        for thread in (one / "task").iterdir():
            pids += map(int, (thread / "children").read_text(encoding="ascii").split())
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)


def start(command: list[str], log: Path, core: int) -> subprocess.Popen[bytes]:
    """Starts a program whose threads and children all stay on one core; its words go to `log`."""
    with log.open("wb") as words:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            # Before exec, so that every thread inherits it; this program has no thread itself.
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to end, and insists after a while."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

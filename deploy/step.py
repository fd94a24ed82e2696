"""A step of the container lab's program: what is told of it, and the noisy command it runs.

Knows: the terminal, the log that keeps what the tools said. Refuses to know: which steps there are.
Invariant: what a command started ends with it, also after Ctrl-C. Standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.ending import ENDING
from deploy.preflight import ObstacleError, last_line

LOG = "build/compose.log"  # in the lab's folder
STEP_LIMIT_S = 900.0


def say(text: str, end: str = "\n") -> None:
    """A line for whoever watches, at once."""
    print(text, end=end, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """A line that says what is done now, and in the end how long it took."""
    began_s = time.monotonic()
    say(f"{text} … ", end="")
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f"{time.monotonic() - began_s:.0f} s")


def run(command: Sequence[str], log: Path, limit_s: float = STEP_LIMIT_S) -> None:
    """Run a noisy command into the log; ObstacleError with its last line if it fails.

    It has a session of its own: Ctrl-C comes to us alone, and we end it.
    """
    log.parent.mkdir(exist_ok=True)
    with log.open("a+", encoding="utf-8", errors="replace") as file:
        file.write(f"\n$ {' '.join(command)}\n")
        file.flush()
        start = file.tell()
        child = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        reason = ""
        try:
            with ENDING.heard():
                status = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            status, reason = 1, f"it did not end within {limit_s:.0f} s"
        finally:
            end_session(child, patience_s=15)
        if status:
            file.seek(start)
            raise ObstacleError(reason or last_line(file.read()))


def end_session(child: subprocess.Popen[bytes], patience_s: float) -> None:
    """End a child and what it started; with patience, it may first clear up after itself."""
    if child.poll() is None and patience_s:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(patience_s)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()

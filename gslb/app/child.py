"""Loading in a process of its own, so that the one that answers never waits for it.

Knows: how the child is started, and how its plan comes back. Refuses to know: what is loaded
(app/loading.py). Invariant: a child that dies, for whatever reason, is a ConfigError with the
reason, and nothing of the old plan is touched.

Importing this brings in next to nothing, so that the child of a start runs at once, beside the
imports of the process that will answer.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gslb.errors import ConfigError, Problem, Where

if TYPE_CHECKING:
    from gslb.app.loaded import Loaded

NOTHING: Final = "-"  # no parcel: at a start nothing runs that could be compared with

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a child handed over; `parcel` is the file it stands in, for `remap`."""

    loaded: Loaded
    parcel: int

    def close(self) -> None:
        """Closes the file; what is mapped of it stays."""
        os.close(self.parcel)


async def load_in_child(path: str, running: int | None = None) -> Delivery:
    """`load` in a child; `running` is the parcel of what runs, None at a start.

    What is good is copied for a start that finds something else. Raises ConfigError.
    """
    if running is None:
        return await _run(path, ("load", path, NOTHING), ())
    return await _run(path, ("load", path, str(running)), (running,))


async def recover_in_child(path: str) -> Delivery:
    """The last good configuration. Raises ConfigError, without problems if there is none."""
    return await _run(path, ("recover", path, NOTHING), ())


async def remap_in_child(path: str, parcel: int) -> Delivery:
    """The configuration of an earlier delivery with the databases as they are now.

    Zones and gslb.yaml are not read again: a new map must not bring in what somebody is
    editing. Raises ConfigError.
    """
    return await _run(path, ("remap", path, str(parcel)), (parcel,))


async def _run(path: str, words: Sequence[str], inherit: Sequence[int]) -> Delivery:
    try:
        parcel = os.memfd_create("gslb-plan")
    except OSError as error:
        raise _not_started(path, error) from error
    try:
        await _work(path, (str(parcel), *words), (parcel, *inherit))
        from gslb.app.loaded import Loaded

        result = await _receive(parcel)
        if isinstance(result, Loaded):
            return Delivery(result, parcel)
        if isinstance(result, str):
            _log.error("the loading process failed\n%s", result)
            raise _failed(path, "the loading process failed", "its last words are in the log")
        assert isinstance(result, tuple), "the child packs a Loaded, problems or its last words"
        raise ConfigError(result)
    except BaseException:
        os.close(parcel)
        raise


async def _work(path: str, words: Sequence[str], inherit: Sequence[int]) -> None:
    """Runs the child until it ends. Raises ConfigError if it does not end well."""
    try:
        # A group of its own: Ctrl-C is for us, and what the child started ends with it.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no module comes from the working folder, which may be anybody's
            "-m",
            "gslb.app.loading",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=inherit,
            process_group=0,
        )
    except OSError as error:
        raise _not_started(path, error) from error
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        _kill(process.pid)
        await process.wait()
        raise
    if status:
        _kill(process.pid)
    if status < 0:
        what = f"the loading process was killed by {signal.Signals(-status).name}"
        hint = "the kernel does that when memory runs out: see dmesg" if status == -9 else ""
        raise _failed(path, what, hint)
    if status:
        what = f"the loading process ended with status {status}"
        raise _failed(path, what, "its last words are in the log")


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


async def _receive(parcel: int) -> object:
    """What the child handed over, taken a few milliseconds at a time."""
    from gslb.app.parcel import unpack

    result: object = None
    gc.disable()  # what comes stays: looking through it again and again would double the time
    try:
        for part in unpack(parcel):
            result = part
            await asyncio.sleep(0)
        gc.collect(1)  # once is enough, in a turn of its own: 15 ms for 10 000 endpoints
        await asyncio.sleep(0)
    finally:
        gc.enable()
    return result


def _not_started(path: str, error: OSError) -> ConfigError:
    what = f"the loading process cannot be started: {error.strerror}"
    return _failed(path, f"{what}: {error.filename}" if error.filename else what, "")


def _failed(path: str, what: str, hint: str) -> ConfigError:
    return ConfigError((Problem(Where(path), "", what, hint),))

"""Loading in a process of its own, so that the one that answers never waits for it.

Knows: how a child is started, niced, and how its plan comes back. Refuses to know: what is
loaded. Invariant: a child that dies, for whatever reason, is a ConfigError with the reason,
and nothing of the old plan is touched.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from gslb.app.load import Loaded, compile_plan, load
from gslb.app.parcel import pack, unpack
from gslb.errors import ConfigError, Problem, Where

NICENESS = 10
_LOAD, _REMAP = "load", "remap"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a child handed over; `parcel` is the file it stands in, for `remap`."""

    loaded: Loaded
    parcel: int

    def close(self) -> None:
        """Closes the file; what is mapped of it stays."""
        os.close(self.parcel)


async def load_in_child(path: str, starting: bool) -> Delivery:
    """`load` in a child. Raises ConfigError."""
    return await _run(path, (_LOAD, path, "starting" if starting else "running"), ())


async def remap_in_child(path: str, parcel: int) -> Delivery:
    """The configuration of an earlier delivery with the databases as they are now.

    Zones and gslb.yaml are not read again: a new map must not bring in what somebody is
    editing. Raises ConfigError.
    """
    return await _run(path, (_REMAP, path, str(parcel)), (parcel,))


async def _run(path: str, words: Sequence[str], inherit: Sequence[int]) -> Delivery:
    parcel = os.memfd_create("gslb-plan")
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gslb.app.child",
            str(parcel),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=(parcel, *inherit),
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if status:
            what = f"the loading process ended with status {status}"
            raise ConfigError((Problem(Where(path), "", what, "its last words are in the log"),))
        result = unpack(parcel)
        if isinstance(result, Loaded):
            return Delivery(result, parcel)
        assert isinstance(result, tuple), "the child packs a Loaded or a tuple of problems"
        raise ConfigError(result)
    except BaseException:
        os.close(parcel)
        raise


def main(arguments: Sequence[str]) -> int:
    """The child: file descriptor of the parcel, then `load PATH WHEN` or `remap PATH FD`."""
    parcel, what, path, extra = int(arguments[0]), *arguments[1:4]
    result: Loaded | tuple[Problem, ...]
    try:
        if what == _REMAP:
            os.nice(NICENESS)
            previous = unpack(int(extra))
            assert isinstance(previous, Loaded), "only a Loaded is remapped"
            result = compile_plan(previous.plan.config, previous.warnings, starting=False)
        else:
            if extra == "running":
                os.nice(NICENESS)
            result = load(path, starting=extra == "starting")
    except ConfigError as error:
        result = error.problems
    except Exception:
        traceback.print_exc()
        return 1
    pack(result, parcel)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

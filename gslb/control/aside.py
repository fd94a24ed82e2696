"""A state file that is none, or no longer: moved out of the way, for people to look at.

Knows: the names of what was set aside, and how many are kept. Refuses to know: what is wrong with
it. Invariant: nothing is overwritten, and a disk is not filled with what is broken.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Final

ASIDE: Final = ".set-aside-"
BESIDE: Final = ("-wal", "-shm")  # SQLite finds them by the file's name
MOST_ASIDE: Final = 3


def set_aside(path: str, now: float) -> str:
    """Moves a file and what SQLite has beside it out of the way; its new name.

    The last `MOST_ASIDE` are kept. Raises OSError.
    """
    stamp = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    place = next(
        name
        for number in count(1)
        if not os.path.lexists(name := f"{path}{ASIDE}{stamp}" + (f".{number}" * (number > 1)))
    )
    os.rename(path, place)
    for end in BESIDE:
        with suppress(FileNotFoundError):
            os.rename(path + end, place + end)
    folder, start = os.path.split(path + ASIDE)
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(start)]
        earlier = sorted(name for name in names if not name.endswith(BESIDE))[:-MOST_ASIDE]
        for name in earlier:
            for end in ("", *BESIDE):
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name + end))
    return place

"""Draws a large atlas in a process of its own.

Knows: how the process is started and what it may use. Refuses to know: caches' places.
Invariant: whatever a corrupt database does to maxminddb's C extension (3.2.0 was seen to
crash on a bad type number), it does it to that process; here it is a BrokenDatabaseError.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO, Final

from gslb.geo import cache
from gslb.geo.database import BrokenDatabaseError, Database, open_database
from gslb.geo.drawing import draw

PATIENCE_S: Final = 300.0
MEMORY_OCTETS: Final = 4 << 30


def draw_apart(database: Database, file: BinaryIO) -> None:
    """Write the database's atlas, as the cache has it, to a file. Raises BrokenDatabaseError."""
    words = [sys.executable, "-m", "gslb.geo.worker", database.info.kind, database.info.path]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise BrokenDatabaseError("is corrupt: reading it does not end") from error
    if done.returncode < 0:
        raise BrokenDatabaseError("is corrupt: it crashes the reader")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BrokenDatabaseError(said[-1] if said else "cannot be read")


def main(arguments: Sequence[str]) -> int:
    """The process: kind and path of the database; the atlas goes to standard output."""
    kind, path = arguments
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_OCTETS, MEMORY_OCTETS))
    try:
        database = open_database(kind, path)
        cache.write(
            sys.stdout.buffer, database.info, database.fingerprint.size, draw(database, True)
        )
    except BrokenDatabaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

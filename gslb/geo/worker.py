"""Draws a large atlas in a process of its own.

Knows: how that process is started and what it may use. Refuses to know: where caches are.
Invariant: whatever a corrupt database does to maxminddb's C extension (3.2.0 was seen to
crash on a bad type number), it does to that process; here it is a BrokenDatabaseError.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from gslb.geo import cache
from gslb.geo.database import BrokenDatabaseError, Database, open_database
from gslb.geo.drawing import draw

PATIENCE_S: Final = 300.0
MEMORY_OCTETS: Final = 4 << 30
BROKEN: Final = 3  # the exit status that says: the reason is on standard error


def draw_apart(database: Database) -> bytes:
    """The database's atlas, packed as the cache has it. Raises BrokenDatabaseError."""
    words = [sys.executable, "-P", "-m", "gslb.geo.worker", database.info.kind, database.info.path]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise BrokenDatabaseError("is corrupt: reading it does not end") from error
    if done.returncode == BROKEN:
        raise BrokenDatabaseError(done.stderr.decode(errors="replace").strip())
    if done.returncode:
        raise BrokenDatabaseError("is corrupt: it crashes the reader")
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """The process: kind and path of the database; the packed atlas goes to standard output."""
    kind, path = arguments
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_OCTETS, MEMORY_OCTETS))
    try:
        database = open_database(kind, path)
        atlas = draw(database, fast=True)
    except BrokenDatabaseError as error:
        sys.stderr.write(f"{error}\n")
        return BROKEN
    sys.stdout.buffer.write(cache.pack(database.info, database.fingerprint.size, atlas))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

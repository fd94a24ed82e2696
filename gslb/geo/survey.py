"""Turns open databases into atlases, from the cache where there is one.

Knows: that a large database is worth a process and a cache of its own. Refuses to know:
policies, overrides. Invariant: a database that turns out broken is a `Problem` and is left
out; the others go on.
"""

from __future__ import annotations

from typing import Final

from gslb.errors import Problem
from gslb.geo import cache
from gslb.geo.atlas import Atlas
from gslb.geo.database import BrokenDatabaseError, Database, Maps, broken
from gslb.geo.drawing import draw
from gslb.geo.worker import draw_apart

LARGE: Final = 50_000  # nodes of the search tree: with fewer, plain Python is quick enough


def survey(maps: Maps, cache_dir: str | None) -> tuple[Maps, tuple[Problem, ...]]:
    """Build the atlas of every database, or read it from the cache.

    `cache_dir` is where the cache goes if the database's own folder cannot be written to.
    """
    kept: dict[str, Database] = {}
    atlases: dict[str, Atlas] = {}
    problems = []
    for database in maps.databases:
        info = database.info
        try:
            atlases[info.kind] = atlas_of(database, cache_dir)
            kept[info.kind] = database
        except BrokenDatabaseError as error:
            problems.append(broken(info.kind, info.path, str(error)))
    return Maps(kept.get("city"), kept.get("asn"), atlases), tuple(problems)


def atlas_of(database: Database, cache_dir: str | None, large: int = LARGE) -> Atlas:
    """The atlas of a database; one of at least `large` nodes is drawn apart and cached."""
    if database.layout.node_count < large:
        return draw(database)
    info, size = database.info, database.fingerprint.size
    stored = cache.load(info, size, cache_dir)
    if stored is not None:
        return stored
    packed = draw_apart(database)
    drawn = cache.unpack(packed, info, size)
    if drawn is None:
        raise BrokenDatabaseError("changed while it was read")
    cache.save(info, cache_dir, packed)
    return drawn

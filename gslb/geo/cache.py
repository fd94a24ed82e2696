"""Keeps an atlas beside its database, because decoding a large one takes seconds.

Knows: one file per database: a digest, then an uncompressed .npz (numpy arrays, no pickles),
put in place atomically. Refuses to know: how an atlas is made. Invariant: what does not bear
the digest of this very database, format and content (absent, stale, cut short, corrupt) is as
if it were not there, and is not even parsed.
"""

from __future__ import annotations

import io
import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from gslb.core.client import V4_BITS, V6_BITS
from gslb.core.world import MapInfo
from gslb.geo.atlas import Atlas, Columns
from gslb.geo.row import Region
from gslb.geo.span import Span

VERSION: Final = 1
DIGEST_OCTETS: Final = 32


def load(info: MapInfo, size: int, cache_dir: str | None) -> Atlas | None:
    """The atlas of a database of `size` octets, if a sound cache of it can be found."""
    for path in _places(info, cache_dir):
        try:
            atlas = unpack(path.read_bytes(), info, size)
        except OSError:
            continue
        if atlas is not None:
            return atlas
    return None


def save(info: MapInfo, cache_dir: str | None, packed: bytes) -> None:
    """Keep a packed atlas beside the database or in `cache_dir`; if neither can, nowhere."""
    for path in _places(info, cache_dir):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
        except OSError:
            continue
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)  # no secret: `check` by another user may read it
                file.write(packed)
            os.replace(draft, path)
        except OSError:  # a full disk: the atlas is in memory, the cache can wait
            Path(draft).unlink(missing_ok=True)
            continue
        return


def pack(info: MapInfo, size: int, atlas: Atlas) -> bytes:
    """The atlas of a database of `size` octets as a file's content."""
    columns = atlas.columns
    regions = ["|".join((region[0], region[1], *region[2])) for region in columns.regions]
    file = io.BytesIO()
    np.savez(
        file,
        starts4=atlas.ipv4.starts.astype(np.uint32),
        values4=atlas.ipv4.values.astype(np.uint32),
        starts6=atlas.ipv6.starts,
        values6=atlas.ipv6.values.astype(np.uint32),
        at=columns.at,
        region=columns.region.astype(np.uint32),
        regions=np.array(regions, np.str_),
        asn=columns.asn.astype(np.uint32),
    )
    content = file.getbuffer()
    return b"".join((_digest(info, size, content), content))


def unpack(packed: bytes, info: MapInfo, size: int) -> Atlas | None:
    """The atlas in a file's content, None if it is not one of this database."""
    content = memoryview(packed)[DIGEST_OCTETS:]
    if packed[:DIGEST_OCTETS] != _digest(info, size, content):
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return Atlas(
            Span(V4_BITS, stored["starts4"].astype(np.uint64), stored["values4"].astype(np.int64)),
            Span(V6_BITS, stored["starts6"], stored["values6"].astype(np.int64)),
            Columns(
                stored["at"],
                stored["region"].astype(np.int64),
                tuple(_region(str(text)) for text in stored["regions"].tolist()),
                stored["asn"].astype(np.int64),
            ),
        )


def _places(info: MapInfo, cache_dir: str | None) -> tuple[Path, ...]:
    database = Path(info.path)
    beside = database.with_name(f"{database.name}.atlas")
    if cache_dir is None:
        return (beside,)
    name = blake2b(os.fsencode(database.absolute()), digest_size=8).hexdigest()
    return beside, Path(cache_dir) / f"{database.name}-{name}.atlas"


def _digest(info: MapInfo, size: int, content: memoryview) -> bytes:
    key = f"{VERSION} {info.kind} {info.built} {size} ".encode()
    digest = blake2b(key, digest_size=DIGEST_OCTETS)
    digest.update(content)
    return digest.digest()


def _region(text: str) -> Region:
    continent, country, *subdivisions = text.split("|")
    return continent, country, tuple(subdivisions)

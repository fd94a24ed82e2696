"""Keeps an atlas beside its database, because decoding a large one takes seconds.

Knows: one uncompressed .npz per database, numpy arrays and no pickles, written atomically.
Refuses to know: how an atlas is made. Invariant: whatever is wrong with a cache (absent, of
another database or version, cut short, corrupt) it is as if it were not there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.lib.npyio import NpzFile

from gslb.core.client import V4_BITS, V6_BITS
from gslb.core.world import MapInfo
from gslb.geo.atlas import Atlas, Columns, Degrees, Region
from gslb.geo.span import Addresses, Numbers, Span

VERSION: Final = 1
_NUMBERS: Final = ("starts4", "values4", "starts6", "values6", "region", "asn")
_UNREADABLE: Final = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error)


def load(info: MapInfo, size: int, cache_dir: str | None) -> Atlas | None:
    """The atlas of a database of `size` octets, if a sound cache of it can be found."""
    for path in _places(info, cache_dir):
        try:
            with path.open("rb") as file:
                atlas = read(file, info, size)
        except OSError:
            continue
        if atlas is not None:
            return atlas
    return None


def read(file: BinaryIO, info: MapInfo, size: int) -> Atlas | None:
    """The atlas in a file, if it is one of this database and sound."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            # Reading verifies each array's CRC-32, so a flipped bit is an error here.
            if not isinstance(stored, NpzFile) or stored["key"].tolist() != _key(info, size):
                return None
            numbers = {name: stored[name].astype(np.uint64) for name in _NUMBERS}
            at: Degrees = stored["at"].astype(np.float64)
            return _atlas(numbers, at, [str(text) for text in stored["regions"].tolist()])
    except _UNREADABLE:
        return None


def write(file: BinaryIO, info: MapInfo, size: int, atlas: Atlas) -> None:
    """Write the atlas of a database of `size` octets."""
    columns = atlas.columns
    regions = ["|".join((region[0], region[1], *region[2])) for region in columns.regions]
    np.savez(
        file,
        key=np.array(_key(info, size), np.int64),
        starts4=atlas.ipv4.starts.astype(np.uint32),
        values4=atlas.ipv4.values.astype(np.uint32),
        starts6=atlas.ipv6.starts,
        values6=atlas.ipv6.values.astype(np.uint32),
        at=columns.at,
        region=columns.region.astype(np.uint32),
        regions=np.array(regions, np.str_),
        asn=columns.asn.astype(np.uint32),
    )


def save(info: MapInfo, cache_dir: str | None, content: BinaryIO) -> None:
    """Keep what `write` wrote, beside the database or in `cache_dir`; if nowhere, then not."""
    for path in _places(info, cache_dir):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
        except OSError:
            continue
        try:
            content.seek(0)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file)
            os.replace(draft, path)
        except OSError:  # a full disk: the atlas is in memory, the cache can wait
            Path(draft).unlink(missing_ok=True)
            continue
        return


def _places(info: MapInfo, cache_dir: str | None) -> tuple[Path, ...]:
    database = Path(info.path)
    beside = database.with_name(f"{database.name}.atlas.npz")
    if cache_dir is None:
        return (beside,)
    digest = hashlib.sha256(os.fsencode(database.absolute())).hexdigest()[:16]
    return beside, Path(cache_dir) / f"{database.name}-{digest}.atlas.npz"


def _key(info: MapInfo, size: int) -> list[int]:
    return [VERSION, info.built, size]


def _atlas(stored: dict[str, Addresses], at: Degrees, texts: list[str]) -> Atlas:
    """The arrays as an atlas. Raises ValueError if they do not belong together."""
    regions = tuple(_region(text) for text in texts)
    region, asn = _below(stored["region"], len(regions)), stored["asn"].astype(np.int64)
    if at.shape != (len(region), 2) or asn.shape != region.shape:
        raise ValueError("columns of different lengths")
    ipv4, ipv6 = (
        _span(bits, stored[f"starts{family}"], _below(stored[f"values{family}"], len(region)))
        for family, bits in ((4, V4_BITS), (6, V6_BITS))
    )
    return Atlas(ipv4, ipv6, Columns(at, region, regions, asn))


def _region(text: str) -> Region:
    continent, country, *subdivisions = text.split("|")
    return continent, country, tuple(subdivisions)


def _below(numbers: Addresses, limit: int) -> Numbers:
    if numbers.ndim != 1 or not numbers.size or int(numbers.max()) >= limit:
        raise ValueError("a number out of range")
    return numbers.astype(np.int64)


def _span(bits: int, starts: Addresses, values: Numbers) -> Span:
    if starts.shape != values.shape or starts[0] or not bool((starts[1:] > starts[:-1]).all()):
        raise ValueError("ranges out of order")
    return Span(bits, starts, values)

"""The zones folder: every `*.zone` file in it, read, judged and built.

Knows: which files are zones, and that a zone is loaded once. Refuses to know: policies (the
names in `steers` are the YAML reader's to judge). Invariant: a file that is bad in any way
gives problems, never an exception, and a zone with errors is not built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.config.report import quote
from gslb.config.zonecheck import check_zone
from gslb.config.zonedraft import Draft, read_draft
from gslb.config.zonetarget import show
from gslb.core.image import build
from gslb.core.setting import Limits
from gslb.core.zone import Zone
from gslb.errors import Problem, Where


@dataclass(frozen=True, slots=True)
class Steer:
    """A STEER record: owner and zone as keys, TTL in seconds, the place of the policy's name."""

    owner: bytes
    policy: str
    ttl: int
    where: Where
    zone: bytes


@dataclass(frozen=True, slots=True)
class ZoneFolder:
    """What a zones folder holds. `steers` are those of all zones, also of bad ones.

    `problems` are errors and warnings, in the order of the files and their lines. `digests` are
    those of every file read (zonesource.py), by its path.
    """

    zones: tuple[Zone, ...]
    steers: tuple[Steer, ...]
    problems: tuple[Problem, ...]
    digests: Mapping[str, bytes] = field(default_factory=dict)


def read_zones(folder: str, limits: Limits, shown: str | None = None) -> ZoneFolder:
    """All zones of a folder, which messages call `shown` (default: `folder`)."""
    shown = folder if shown is None else shown
    try:
        names = sorted(
            name for name in os.listdir(folder) if name.endswith(".zone") and name[0] != "."
        )
    except OSError as error:
        what, hint = f"cannot be read: {error.strerror}", "make it, or mend the path"
        return ZoneFolder((), (), (Problem(Where(shown), "zones folder", what, hint),))
    if not names:
        hint = "a zone file is named like gslb.example.com.zone"
        problem = Problem(Where(shown), "zones folder", "has no *.zone file", hint)
        return ZoneFolder((), (), (problem,))
    drafts = [read_draft(folder, name, shown, limits.zone) for name in names]
    apexes = _refuse_twins(drafts)
    zones: list[Zone] = []
    problems: list[Problem] = []
    steers = tuple(
        Steer(*steered, draft.apex) for draft in drafts for steered in draft.steers if draft.apex
    )
    for draft in drafts:
        nodes = check_zone(draft, limits, apexes.keys())
        draft.records.clear()  # the text's places are not needed any more, their memory is
        if not draft.errors.failed and draft.apex is not None:
            zones.append(build(draft.apex, {key: nodes[key].values() for key in nodes}))
        problems += sorted(draft.errors.problems() + draft.warnings.problems())
    digests = {path: digest for draft in drafts for path, digest in draft.digests.items()}
    return ZoneFolder(tuple(zones), steers, tuple(problems), digests)


def _refuse_twins(drafts: list[Draft]) -> dict[bytes, str]:
    """The file of every apex; a second file for one is an error."""
    files: dict[bytes, str] = {}
    for draft in drafts:
        if draft.apex is None:
            continue
        if (first := files.setdefault(draft.apex, draft.shown)) != draft.shown:
            subject = f"zone {show(draft.apex)}"
            what, hint = f"is also in {quote(first)}", "keep one of the two files"
            draft.errors.error(Where(draft.shown), subject, what, hint)
    return files

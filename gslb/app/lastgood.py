"""The last good configuration: a copy under `server.state`, for a start that finds a broken one.

Knows: which files make a configuration, how a copy is put in place and found again. Refuses to
know: what the files say. Invariant: a copy is whole and is what was read, octet for octet, or it
is not put in place; a disk that is full or read-only costs the copy and nothing else.

Layout of `last-good/`: gslb.yaml, `zones/` with every file that was read there, and `origin`: the
absolute path of the gslb.yaml that it is a copy of. Relative paths in the copied gslb.yaml still
start from there, so databases, secrets and certificates are found; they are not copied.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gslb.app.loaded import Loaded
from gslb.config.document import LARGEST
from gslb.config.reader import Copy
from gslb.config.zonesource import digest
from gslb.errors import Problem, Where

FOLDER: Final = "last-good"
MOST_OCTETS: Final = 1 << 30
_DRAFT: Final = f"{FOLDER}.new"
_PREVIOUS: Final = f"{FOLDER}.old"  # there only while the new one takes its place
_ABSOLUTE: Final = re.compile(rb'^\$INCLUDE[ \t]+"?/', re.IGNORECASE | re.MULTILINE)
# `server.state` in a file that may be no YAML: candidates only, the copy's `origin` decides.
_STATE: Final = re.compile(
    r"""\bstate["']?[ \t]*:[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"',}#][^,}#\n]*))"""
)


class _NotKeptError(Exception):
    """There will be no copy; the text says why."""


def keep(path: str, loaded: Loaded) -> tuple[Problem, ...]:
    """Copies what was loaded from `path`; a warning if that cannot be done."""
    state = Path(loaded.plan.config.settings.state)
    try:
        _keep(path, loaded, state)
    except OSError as error:
        why = error.strerror or str(error)
    except _NotKeptError as error:
        why = str(error)
    else:
        return ()
    what = f"this configuration is not copied there: {why}"
    hint = "a start that finds a broken one would serve an older copy, or nothing"
    return (Problem(Where(str(state / FOLDER)), "server.state", what, hint, "warning"),)


def _keep(path: str, loaded: Loaded, state: Path) -> None:
    draft, place, previous = state / _DRAFT, state / FOLDER, state / _PREVIOUS
    targets = {source: _target(path, source, loaded.zones) for source in loaded.files}
    state.mkdir(parents=True, exist_ok=True)
    with _locked(state):
        if _has(place, path, {targets[at]: what for at, what in loaded.files.items()}):
            return  # most starts: a disk need not be waited for to write the same again
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(mode=0o700)  # gslb.yaml may be for few eyes
            _fill(draft, path, loaded, targets)
            if place.exists():
                shutil.rmtree(previous, ignore_errors=True)
                place.rename(previous)
            draft.rename(place)
            _sync(state)
            shutil.rmtree(previous, ignore_errors=True)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """One at a time: the child of a server that was killed may still be at it."""
    descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _target(path: str, source: str, zones: str) -> str:
    """Where in the copy a file has its place."""
    if source == path:
        return "gslb.yaml"
    relative = os.path.relpath(source, zones)
    if relative.startswith(".."):
        raise _NotKeptError(f"{source} is outside the zones folder")
    return os.path.join("zones", relative)


def _has(place: Path, path: str, expected: Mapping[str, bytes]) -> bool:
    """Whether the copy in a place is this one, octet for octet."""
    try:
        files = {str(at.relative_to(place)): at for at in place.rglob("*") if not at.is_dir()}
        return (
            files.keys() == {"origin", *expected}
            and files["origin"].read_bytes() == _origin(path)
            and all(digest(files[at].read_bytes()) == what for at, what in expected.items())
        )
    except OSError:
        return False


def _origin(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))


def _fill(draft: Path, path: str, loaded: Loaded, targets: Mapping[str, str]) -> None:
    _write(draft / "origin", _origin(path))
    left = MOST_OCTETS
    for source, expected in loaded.files.items():
        with open(source, "rb") as file:
            data = file.read(left + 1)
        left -= len(data)
        if left < 0:
            raise _NotKeptError(f"it has more than {MOST_OCTETS >> 20} MiB")
        if digest(data) != expected:
            raise _NotKeptError(f"{source} has changed since it was read; reload once more")
        if source != path and _ABSOLUTE.search(data):
            raise _NotKeptError(f"{source} has an $INCLUDE of an absolute path; make it relative")
        target = draft / targets[source]
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(target, data)
    for folder, _, _ in os.walk(draft):
        _sync(folder)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: str | Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find(path: str) -> Copy | None:
    """The copy of what `path` last held that was good, however broken it is now."""
    origin = _origin(path)
    for state in _states(path):
        for name in (FOLDER, _PREVIOUS):
            folder = Path(state, name)
            with suppress(OSError, ValueError):  # not there; or no path at all
                if (folder / "origin").read_bytes() == origin:
                    return Copy(str(folder / "gslb.yaml"), str(folder / "zones"))
    return None


def _states(path: str) -> Iterator[str]:
    """Where `server.state` may be: as the file says, readable or not, then the usual places."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            text = file.read(LARGEST).decode(errors="surrogateescape")
    except (OSError, ValueError):
        text = ""
    for match in _STATE.finditer(text):
        written = next(group for group in match.groups() if group is not None)
        yield os.path.join(folder, written.strip())
    yield os.path.join(folder, "state")
    yield from filter(None, os.environ.get("STATE_DIRECTORY", "").split(":"))  # systemd.exec(5)

"""A folder in memory, for what is read from files."""

from __future__ import annotations

import atexit
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_MEMORY = "/dev/shm"


@cache
def folder(name: str) -> Path:
    """A folder of this process, taken away at its end."""
    made = Path(mkdtemp(prefix=f"fuzz-{name}-", dir=_MEMORY if os.path.isdir(_MEMORY) else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made

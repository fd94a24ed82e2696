"""The targets by name, their seeds, and the inputs that were too much for one of them once.

A target is a module of this folder: `check(octets)` raises if a promise is broken, `LONGEST` is the
most octets worth trying.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

HERE: Final = Path(__file__).parent
TARGETS: Final = ("packet", "zone", "yaml")


def target(name: str) -> ModuleType:
    """The module of a target."""
    return import_module(f"fuzz.{name}")


def words(name: str) -> Path:
    """libFuzzer's dictionary of a target: what its inputs are made of."""
    return HERE / "seed" / f"{name}.dict"


def seeds(name: str) -> Path:
    """The folder where a target begins."""
    return HERE / "seed" / name


def crashes(name: str) -> Path:
    """The folder of what once broke a promise; it may be missing."""
    return HERE / "crash" / name


def inputs(name: str) -> list[Path]:
    """The files of both folders."""
    folders = (seeds(name), crashes(name))
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())

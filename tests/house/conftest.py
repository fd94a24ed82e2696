"""The source tree, parsed once for all house tests."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What tools make beside the sources, as .gitignore has it.
MADE = {
    ".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
    ".import_linter_cache", "state", "build", "dist",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One file of the gslb package: `name` is dotted, `path` relative to the repository."""

    name: str
    path: str
    text: str
    tree: ast.Module


def dotted(path: Path) -> str:
    """`gslb/core/zone.py` → `gslb.core.zone`, `gslb/core/__init__.py` → `gslb.core`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of gslb."""
    found = []
    for path in sorted((ROOT / "gslb").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
        found.append(Module(dotted(path), str(path.relative_to(ROOT)), text, tree))
    assert len(found) > 10
    return found


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):  # no git here, or an unpacked archive
        paths = [path for path in ROOT.rglob("*") if not MADE & {*path.relative_to(ROOT).parts}]
    else:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    assert len(paths) > 10
    return [path for path in paths if path.is_file()]

"""The processes that a test has started, directly."""

from __future__ import annotations

from pathlib import Path


def children() -> set[int]:
    """Processes whose parent is this one."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(text) for task in tasks for text in (task / "children").read_text().split()}

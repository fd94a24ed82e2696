"""Where a drill opens its stages: one folder and one set of ports for all of them.

Knows: where each stage's world is written. Refuses to know: what is played. Invariant: each
stage begins with a server that knows nothing of the one before: a state folder of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gslb.lab.stage import Plot, Stage, open_stage
from gslb.lab.world import World, write


@dataclass(frozen=True, slots=True)
class House:
    """A folder, new or empty, and the world's ports."""

    world: World
    folder: Path

    @asynccontextmanager
    async def open(self, plot: Plot, part: str = "") -> AsyncIterator[Stage]:
        """Writes the plot's files and runs it. `part`: a folder in ours, where there are several.

        Raises LabError.
        """
        folder = self.folder / part if part else self.folder
        write(self.world, folder, plot.scenery)
        async with open_stage(self.world, folder, plot) as stage:
            yield stage

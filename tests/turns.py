"""How many turns others get in the loop while something goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Turns:
    """`count` rises by one a turn of the loop."""

    count = 0

    async def run(self) -> None:
        """Counts until cancelled."""
        for self.count in count(1):
            await asyncio.sleep(0)


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    """Counts for as long as the block lasts."""
    turns = Turns()
    counting = asyncio.create_task(turns.run())
    try:
        yield turns
    finally:
        counting.cancel()

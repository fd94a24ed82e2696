"""Fetching a region's page, as a browser does that has never been there.

Knows: aiohttp's client, how a fetch fails. Refuses to know: whose page it should be.
Invariant: every fetch is a connection of its own: a kept one would not notice a new answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from gslb.lab.failure import explain_error

FETCH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """What came: the text of a page, or why there is none."""

    text: str
    failure: str = ""


def open_session() -> ClientSession:
    """A session for `fetch_page`; each request takes FETCH_S seconds at most."""
    connector = TCPConnector(limit=0, force_close=True)
    return ClientSession(connector=connector, timeout=ClientTimeout(total=FETCH_S))


async def fetch_page(session: ClientSession, url: str) -> Page:
    """Fetches a page; the text without white space around it."""
    try:
        async with session.get(url, allow_redirects=False) as response:
            text = await response.text(errors="replace")
    except (ClientError, OSError) as error:
        return Page("", explain_error(error))
    if response.status != 200:
        return Page("", f"status {response.status}")
    return Page(text.strip())

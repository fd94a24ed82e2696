"""A real server, everything on, meets packets of any kind; `make fuzz` sends a million."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.flood import flood

PACKETS = 20_000
SEED = 1


@pytest.mark.slow
def test_a_server_keeps_its_promises_whatever_it_is_sent(tmp_path: Path) -> None:
    figures = flood(tmp_path, SEED, PACKETS)
    assert figures.packets == PACKETS
    assert figures.replies > PACKETS / 2, str(figures)
    assert figures.refused_rate, "the rate limit never held anything back"

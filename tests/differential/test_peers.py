"""Every answer beside Knot's and NSD's: the reference zone, and small zones drawn at random.

What right servers may do differently is told by the rules in case.py, one for each paragraph of
docs/decisions/0008-differences.md; any other difference fails. GSLB_ZONES and GSLB_SEED draw more
zones, and others.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import dns.name
import dns.zone
import pytest

from differential.case import EXTRAS, RULES
from differential.compare import INSTALLED, MODES, PROGRAMS, TYPES, compare_drawn, comparison

REFERENCE = Path(__file__).with_name("example.test.zone")
DIFFERENCES = Path(__file__).parents[2] / "docs/decisions/0008-differences.md"
ZONES = int(os.environ.get("GSLB_ZONES", "60"))
SEED = int(os.environ.get("GSLB_SEED", "1"))

peers = pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            program,
            marks=pytest.mark.skipif(program not in INSTALLED, reason=f"no {program} here"),
        )
        for program in PROGRAMS
    ],
)


@pytest.mark.slow
@peers
def test_the_reference_zone_is_answered_as_by_a_peer(program: str, tmp_path: Path) -> None:
    apex = dns.name.from_text("example.test.")
    zone = dns.zone.from_file(str(REFERENCE), apex, relativize=False)
    names = {name for owner in zone.nodes for name in up_to(owner, apex)}
    below = {dns.name.Name((label, *name.labels)) for name in names for label in (b"nope", b"*")}
    foreign = [dns.name.from_text(text) for text in (".", "test.", "notexample.test.", "a.b.")]
    everything = [*sorted(names | below), *foreign]
    (tmp_path / "zones").mkdir()
    shutil.copy(REFERENCE, tmp_path / "zones")
    with comparison(tmp_path, ["example.test."], [program]) as everybody:
        for mode in MODES:
            everybody.ask([(name, rrtype) for name in everything for rrtype in TYPES], *mode)
    tally = everybody.tally
    assert not tally.unexplained, f"{tally}\n" + "\n".join(tally.unexplained[:3])


def up_to(name: dns.name.Name, apex: dns.name.Name) -> Iterator[dns.name.Name]:
    while name != apex:
        yield name
        name = name.parent()
    yield apex


@pytest.mark.slow
@pytest.mark.timeout(120 + ZONES)
@peers
def test_small_zones_are_answered_as_by_a_peer(program: str, tmp_path: Path) -> None:
    tally = compare_drawn(tmp_path, SEED, ZONES, [program])
    assert not tally.unexplained, f"{tally}\n" + "\n".join(tally.unexplained[:3])


def test_every_known_difference_has_its_reason_in_the_decisions() -> None:
    given = re.findall(r"^\*\*`([a-z-]+)`", DIFFERENCES.read_text("utf-8"), re.MULTILINE)
    assert sorted(given) == sorted({rule.name for rule in (*RULES, *EXTRAS)})

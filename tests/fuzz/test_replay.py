"""Every seed, and every input that once broke a promise, keeps it now."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.target import HERE, TARGETS, inputs, target

INPUTS = [(name, path) for name in TARGETS for path in inputs(name)]


@pytest.mark.parametrize(
    ("name", "path"), [pytest.param(*one, id=str(one[1].relative_to(HERE))) for one in INPUTS]
)
def test_an_input_keeps_the_promises(name: str, path: Path) -> None:
    target(name).check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_seeds(name: str) -> None:
    assert len(inputs(name)) >= 5

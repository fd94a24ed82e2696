"""What all tests share: how hard hypothesis tries, and who runs beside whom.

`quick` is for the desk, `ci` for the gate: more examples, and the same ones each time, so that a
red gate means a change and not a roll of the dice. `GSLB_HYPOTHESIS=ci make test` has them here.

`make test` has two workers. One of them runs all of a file (what its fixtures made is used by all
of it), or of the files that name one group, `pytestmark = pytest.mark.xdist_group("docker")`,
because they want something that is there only once.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("GSLB_HYPOTHESIS", "ci" if "CI" in os.environ else "quick"))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test has a group; groups that take long come first, so that no worker ends alone."""
    slow = set()
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))
        if item.get_closest_marker("slow") is not None:
            slow.add(group(item))
    items.sort(key=lambda item: group(item) not in slow)


def group(item: pytest.Item) -> str:
    """The one that a test is marked with."""
    (mark,) = item.iter_markers("xdist_group")
    (name,) = mark.args
    return name

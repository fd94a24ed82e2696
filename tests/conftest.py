"""What all tests share: how hard hypothesis tries, and who runs beside whom.

`quick` is for the desk, `ci` for the gate: more examples, and the same ones each time, so that a
red gate means a change and not a roll of the dice. `GSLB_HYPOTHESIS=ci make test` has them here.

`make test` has two workers. One of them runs all of a file, since all of it uses what its fixtures
made, or all files that want something which is there only once.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

ONE_AFTER_THE_OTHER = {
    "the container lab": {
        "tests/deploy/test_compose.py",
        "tests/deploy/test_image.py",
        "tests/deploy/test_removal.py",
        "tests/lab/test_engine.py",
    },
    "the lab's own addresses": {"tests/lab/test_failover.py", "tests/lab/test_world.py"},
}

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("GSLB_HYPOTHESIS", "ci" if "CI" in os.environ else "quick"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no worker ends alone with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    """Who distributes the tests: by the names of their files, all that the first process has."""
    return Companies(config, log)


class Companies(LoadFileScheduling):
    """A file is for one worker, and so are files that are run one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        found = (name for name, files in ONE_AFTER_THE_OTHER.items() if file in files)
        return next(found, file)

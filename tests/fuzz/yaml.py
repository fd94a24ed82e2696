"""Any octets as gslb.yaml: a configuration, or problems with places."""

from __future__ import annotations

from functools import cache

from gslb.config.reader import read_configuration
from gslb.core.policy import pools_below

from fuzz.place import folder
from yamlcase import write

LONGEST = 4096


@cache
def _path() -> str:
    return write(folder("yaml"), "")


def check(data: bytes) -> None:
    """Raises if reading breaks a promise."""
    path = _path()
    with open(path, "wb") as file:
        file.write(data)
    reading = read_configuration(path)
    failed = any(problem.severity == "error" for problem in reading.problems)
    assert failed == (reading.config is None), "neither a configuration nor an error"
    for problem in reading.problems:
        assert problem.what
        assert str(problem).isprintable(), "a message that a terminal obeys"
        assert len(str(problem)) < 2000, "a message longer than a screen"
    if reading.config is not None:
        for policy in reading.config.policies.values():
            assert pools_below(policy.node), "a policy without a pool"

"""What loading gives: a plan with what there is to say about it.

Knows: its parts. Refuses to know: how they came to be, so that the process that answers takes
one over without the packages that read files (pydantic, PyYAML, dnspython).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.core.world import Plan
from gslb.errors import Problem
from gslb.geo.watch import Watch


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan, and a watch over the databases it used.

    What the operator may want to mend: `read` in the files, `late` in databases and tests.
    `files` are gslb.yaml and what was read in the folder `zones`, with their digests.
    """

    plan: Plan
    read: tuple[Problem, ...]
    late: tuple[Problem, ...]
    watch: Watch
    zones: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All that may want mending, in the order of the files."""
        return tuple(sorted((*self.read, *self.late)))

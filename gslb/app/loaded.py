"""What loading gives: a plan with what there is to say about it.

Knows: its parts. Refuses to know: how they came to be, so that the process that answers takes
one over without the packages that read files (pydantic, PyYAML, dnspython).
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.core.world import Plan
from gslb.errors import Problem
from gslb.geo.watch import Watch


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan, and a watch over the databases it used.

    What the operator may want to mend: `read` in the files, `late` in databases and tests.
    """

    plan: Plan
    read: tuple[Problem, ...]
    late: tuple[Problem, ...]
    watch: Watch

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All that may want mending, in the order of the files."""
        return tuple(sorted((*self.read, *self.late)))

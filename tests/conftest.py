"""What all tests share: how hard hypothesis tries.

`quick` is for the desk, `ci` for the gate: more examples, and the same ones each time, so that a
red gate means a change and not a roll of the dice. `GSLB_HYPOTHESIS=ci make test` has them here.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("GSLB_HYPOTHESIS", "ci" if "CI" in os.environ else "quick"))

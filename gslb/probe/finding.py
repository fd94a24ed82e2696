"""What a probe finds out on its way.

Refuses to know: success and failure. Invariant: what was found before a failure or the timeout
stays found, so it is filled in while the probe runs instead of returned at its end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Finding:
    """`latency_s` is the endpoint's, in seconds; `load` what its reply reported (1.0 is full);
    `expires_at` when its verified certificate does, in Unix seconds. `is_told`: the endpoint has
    said all; what the probe waits for now is our own."""

    latency_s: float | None = None
    load: float | None = None
    expires_at: float | None = None
    is_told: bool = False

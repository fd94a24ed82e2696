"""How many files this process may have open.

Knows: the kernel's soft and hard limit. Refuses to know: who opens files. Invariant: a
shortage is said at the start, not found out on a bad day.
"""

from __future__ import annotations

import resource
from contextlib import suppress

from gslb.core.setting import Settings
from gslb.errors import Problem, Where

OURS = 64  # sockets, databases, the control address, a reload


def raise_limit() -> None:
    """The soft limit, usually 1024 for the sake of select(2), becomes the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a kernel that lowered its own maximum meanwhile
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def find_shortage(path: str, settings: Settings) -> tuple[Problem, ...]:
    """A warning if the settings of the file at `path` can need more than there may be."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.tcp.connections + settings.probe.concurrency + OURS
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ()
    what = f"at most {limit} files may be open, server.tcp and probe.concurrency need {needed}"
    hint = "raise it (LimitNOFILE=, ulimit -n), or lower those"
    return (Problem(Where(path), "server", what, hint, "warning"),)

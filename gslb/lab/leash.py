"""Runs a command that ends when its parent does: `python -m gslb.lab.leash PARENT COMMAND…`.

Knows: PR_SET_PDEATHSIG (prctl(2)). Refuses to know: the command. Invariant: if the lab ends
in any way, kill -9 included, the kernel sends SIGTERM to what the lab started. A program of
its own, because code between fork and exec is not safe beside threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> int:
    """Becomes the command; returns only if the parent is already gone."""
    parent, *command = arguments
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The signal is for what happens from now on; the parent may have ended just before.
    if os.getppid() == int(parent):
        os.execv(command[0], command)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The program that looks for regular expressions, in a process of its own (see expression.py).

Knows: how it is asked on its standard input, and the processor time that a search may take: the
kernel ends the whole program then, since `re` cannot be stopped from within. Refuses to know: the
rest of gslb, so that it starts in some ten milliseconds. Invariant: it ends with who started it,
whose end closes its standard input.
"""

from __future__ import annotations

import re
import signal
import sys

SIZES = 8  # octets before a question: how long the expression and the text are, four each
LIMIT_S = 0.05


def main() -> None:
    """Answer questions with an octet each, 1 or 0, until there are no more."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while len(sizes := asked.read(SIZES)) == SIZES:
        pattern = asked.read(int.from_bytes(sizes[:4])).decode(errors="surrogatepass")
        text = asked.read(int.from_bytes(sizes[4:])).decode(errors="replace")
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        found = re.search(pattern, text) is not None
        signal.setitimer(signal.ITIMER_PROF, 0)
        told.write(b"1" if found else b"0")
        told.flush()


if __name__ == "__main__":
    main()

"""What a person is told of a socket's error.

Knows: the system's own words for an errno. Refuses to know: who tries again, and when.
Invariant: one short text without addresses or Python's names in it.
"""

from __future__ import annotations

import os


def explain_error(error: Exception) -> str:
    """`timed out`, `connection refused`, `no route to host`, or what the error says itself."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, EOFError):
        return "the connection was closed too early"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__

"""A gslb.yaml with one check of interest, "web", for the tests of the reader of checks."""

from __future__ import annotations

from pathlib import Path

from gslb.config.reader import Reading
from gslb.core.check import Check

from yamlcase import SMALL, edited, read, said

WEB = "{ type: http, port: 8080 }"
TRUE = "/bin/true"


def reading_of(folder: Path, check: str, more: str = "") -> Reading:
    """Read it with that check; `more` is added at its end."""
    return read(folder, edited(SMALL, WEB, check) + more)


def check_of(folder: Path, check: str, more: str = "") -> Check:
    """The check as it was read, without an error."""
    reading = reading_of(folder, check, more)
    assert said(reading, "error") == []
    assert reading.config is not None
    return reading.config.checks["web"]


def errors_of(folder: Path, check: str, more: str = "") -> list[str]:
    """The errors, from what is said of the check on."""
    errors = said(reading_of(folder, check, more), "error")
    return [text.split('check "web": ')[-1] for text in errors]

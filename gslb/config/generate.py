r"""$GENERATE: one line that makes many records (BIND's reference manual, "$GENERATE").

Knows: the range, and what `$`, `$$`, `\$` and `${offset,width,base}` become. Refuses to know:
records. Invariant: a line makes no more entries than it may, each with that line's number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from gslb.config.entry import Entry, Fault, split
from gslb.config.report import quote

MAX_GENERATED: Final = 65_536
_MAX_WIDTH: Final = 127  # as BIND: a short line must not make long ones

_RANGE: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})(?:/([0-9]{1,10}))?")
_COUNTER: Final = re.compile(
    r"\\. | \$\$ | \$(?!\{)"
    r"| \$\{ (?P<offset>[+-]?[0-9]{1,10}) (?:,(?P<width>[0-9]{1,3}) (?:,(?P<base>[doxXnN]))? )? \}"
    r"| (?P<bad>\$\{)",
    re.VERBOSE,
)


def generate(entry: Entry, allowed: int) -> tuple[int, Iterator[Entry]] | Fault:
    """The entries that a $GENERATE entry stands for and their number, or what is wrong."""
    if len(entry.words) < 5:
        return Fault("the entry ends too early", "write $GENERATE 1-9 www$ A 192.0.2.$", 0)
    limits, first = entry.words[1:3]
    found = _RANGE.fullmatch(limits.text)
    start, stop, step = (int(part or 1) for part in found.groups()) if found else (1, 0, 1)
    if stop < start or not step:
        what = f"{quote(limits.text)} is not a range"
        return Fault(what, "write START-STOP or START-STOP/STEP", limits.at)
    numbers = range(start, stop + 1, step)
    if len(numbers) > allowed:
        what = f"$GENERATE would make {len(numbers)} records, more than the {allowed} left"
        return Fault(what, f"the zone's ranges make at most {MAX_GENERATED} together", limits.at)
    template = entry.text[first.at :]
    for found in _COUNTER.finditer(template):
        if found["bad"] or int(found["width"] or 0) > _MAX_WIDTH:
            hint = f"write ${{OFFSET,WIDTH,BASE}}, a width to {_MAX_WIDTH}, a base of d o x X n N"
            return Fault('a "${…}" that cannot be read', hint, first.at + found.start())
    return len(numbers), _expand(entry.line, template, numbers)


def _expand(line: int, template: str, numbers: range) -> Iterator[Entry]:
    for number in numbers:
        text = _COUNTER.sub(partial(_count, number), template)
        for made in split(text):
            yield Entry(made.text, line, made.indented, made.words, made.fault)


def _count(number: int, found: re.Match[str]) -> str:
    """What one `$` of the template becomes."""
    if found[0] == "$$":
        return "$"
    if found[0].startswith("\\"):
        return found[0]
    value = number + int(found["offset"] or 0)
    width, base = int(found["width"] or 0), found["base"] or "d"
    if base in "nN":  # nibbles, the last one first, for ip6.arpa; the width counts the dots
        digits = format(value, "x" if base == "n" else "X").zfill((width + 1) // 2)
        return ".".join(reversed(digits))
    return format(value, base).zfill(width)

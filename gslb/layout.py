"""Rows as lines: columns, then what belongs to a row and fits into no column.

Knows: how wide things are, how a body of JSON is read when another server may have sent anything.
Refuses to know: what the columns mean, colours, terminals. Invariant: nothing is ever cut off; a
line is folded only for a terminal, where the width is known, so that a pipe gets whole lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gslb.console import Line, Segment, printable

Body = Mapping[str, object]

GAP: Final = "  "
INDENT: Final = "    "
LONG: Final = 8  # characters beyond what is usual in a column
USUAL_WIDTH: Final = 80  # of a pipe: only to choose between one line and two


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` stand under the heads; `aside` after them where it fits, else below; `remarks` below,
    each on a line of its own."""

    cells: tuple[Segment, ...]
    aside: Segment = ""
    remarks: tuple[Segment, ...] = ()


def lay_out(heads: Sequence[str], rows: Sequence[Row], width: int | None) -> list[Line]:
    """A table; `heads` has one more than there are cells, for `aside`; `width` None: a pipe."""
    titles = Row(tuple((head, "bold") for head in heads[:-1]), (heads[-1], "bold"))
    columns = [[len(_text(cell)) for cell in column] for column in _columns([titles, *rows])]
    sizes = _fit(columns, (width or USUAL_WIDTH) - len(GAP) * len(columns))
    lines: list[Line] = []
    for row in (titles, *rows):
        lines += _lay_out_row(row, sizes, width)
    return lines


def fold(segment: Segment, width: int | None, indent: str = "") -> list[Line]:
    """A text in lines that are indented, and, for a terminal, no longer than its width."""
    text, style = segment if isinstance(segment, tuple) else (segment, "")
    if width is None:
        return [((indent + text, style),)]
    wrapped = textwrap.wrap(
        text,
        max(20, width),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [((line, style),) for line in wrapped]


def _fit(columns: Sequence[Sequence[int]], room: int) -> list[int]:
    """The columns' sizes, by the lengths of their cells, the head's first.

    Where all of it finds no room, a few long cells (a tenth) push aside what follows them on their
    own lines rather than everybody's.
    """
    sizes = [max(lengths) for lengths in columns]
    usual = [
        max(lengths[0], sorted(lengths[1:])[(len(lengths) - 2) * 9 // 10]) for lengths in columns
    ]
    for index in sorted(range(len(sizes)), key=lambda index: usual[index] - sizes[index]):
        if sum(sizes) > room and sizes[index] - usual[index] > LONG:
            sizes[index] = usual[index]
    return sizes


def _columns(rows: Sequence[Row]) -> list[tuple[Segment, ...]]:
    return list(zip(*(row.cells for row in rows), strict=True))


def _lay_out_row(row: Row, sizes: Sequence[int], width: int | None) -> list[Line]:
    segments: list[Segment] = []
    for cell, size in zip(row.cells, sizes, strict=True):
        text, style = cell if isinstance(cell, tuple) else (cell, "")
        segments += [(text, style), " " * (size - len(text)) + GAP]
    used, aside = sum(map(len, map(_text, segments))), _text(row.aside)
    below = [row.aside] if aside and used + len(aside) > (width or USUAL_WIDTH) else []
    segments[-1:] = [segments[-1], row.aside] if aside and not below else []
    lines: list[Line] = [tuple(segments)]
    for segment in (*below, *row.remarks):
        lines += fold(segment, width, INDENT)
    return lines


def _text(segment: Segment) -> str:
    return segment[0] if isinstance(segment, tuple) else segment


def text_of(body: Body, key: str) -> str:
    """A text that may be shown; "" for null and for what is no text."""
    value = body.get(key)
    return printable(value) if isinstance(value, str) else ""


def number_of(body: Body, key: str) -> float | None:
    """A number; None for null and for what is none."""
    value = body.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def object_of(body: Body, key: str) -> Body:
    """An object; an empty one for null and for what is none."""
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def objects_of(body: Body, key: str) -> tuple[Body, ...]:
    """The objects of a list."""
    value = body.get(key)
    return (
        tuple(each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
    )


def texts_of(body: Body, key: str) -> tuple[str, ...]:
    """The texts of a list, as they may be shown."""
    value = body.get(key)
    items = value if isinstance(value, list) else ()
    return tuple(printable(item) for item in items if isinstance(item, str))

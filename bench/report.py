"""The results, as a table for people and as JSON for machines.

Knows: columns. Refuses to know: how anything was measured. Invariant: an invalid figure, a missed
target and a limit exceeded are all said in the row itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.alone import Fact
from bench.compare import Figure

HEAD = ("workload", "peer", "qps", "user µs/q", "system µs/q", "ratio", "alike", "")


def verdict(figure: Figure) -> str:
    """What is wrong with a figure, or its target."""
    if figure.fault:
        return f"INVALID: {figure.fault}"
    if figure.target is None:
        return ""
    return f"{'MISSED' if figure.failed else 'reaches'} {figure.target:.2f}"


def compose_figures(figures: Sequence[Figure]) -> str:
    """`ratio` is qps over gdnsd's, `alike` the share of sampled answers like the first peer's."""
    rows = [HEAD]
    rows += [
        (
            figure.workload,
            figure.peer,
            f"{figure.qps:,.0f}",
            f"{figure.user_us:.1f}",
            f"{figure.system_us:.1f}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            f"{figure.agreement:.1%}",
            verdict(figure),
        )
        for figure in figures
    ]
    return align(rows, left={0, 1, 7})


def compose_facts(facts: Sequence[Fact]) -> str:
    """gslb alone: one line a figure."""
    rows = []
    for fact in facts:
        note = "" if fact.limit is None else f"at most {fact.limit:g}"
        if fact.failed:
            note = f"INVALID: {fact.fault}" if fact.fault else f"MISSED: {note}"
        rows.append((fact.name, f"{fact.value:.1f} {fact.unit}", note))
    return align(rows, left={0, 2})


def align(rows: Sequence[Sequence[str]], left: set[int]) -> str:
    """Columns as wide as their widest cell, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def write_json(
    path: Path, about: dict[str, str], figures: Sequence[Figure], facts: Sequence[Fact]
) -> None:
    """Everything that the tables hold."""
    document = {
        **about,
        "figures": [asdict(figure) | {"failed": figure.failed} for figure in figures],
        "alone": [asdict(fact) | {"failed": fact.failed} for fact in facts],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

"""The results, as tables for people and as JSON for machines.

Knows: columns. Refuses to know: how anything was measured. Invariant: an invalid figure, a missed
target and a limit exceeded are all said in the row itself; so is a target that was reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.compare import Figure
from bench.fact import Fact

HEAD = ("workload", "peer", "qps", "user µs/q", "system µs/q", "ratio", "alike", "")


def verdict(figure: Figure) -> str:
    """What is wrong with a figure, or its target."""
    if figure.fault:
        return f"INVALID: {figure.fault}"
    if figure.target is None:
        return ""
    return f"{'FAIL' if figure.failed else 'PASS'}: at least {figure.target:.2f}"


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
    """One line a figure."""
    rows = [(fact.name, f"{show(fact.value)} {fact.unit}", judge(fact)) for fact in facts]
    return align(rows, left={0, 1, 2})


def show(value: float) -> str:
    """Three digits are as much as any of these figures can promise."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def judge(fact: Fact) -> str:
    """Whether the figure keeps its limits, if it has any."""
    if fact.fault:
        return f"INVALID: {fact.fault}"
    limits = [
        f"at {word} {limit:g}"
        for word, limit in (("least", fact.least), ("most", fact.most))
        if limit is not None
    ]
    return f"{'FAIL' if fact.failed else 'PASS'}: {', '.join(limits)}" if limits else ""


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
    path: Path,
    about: Mapping[str, str],
    figures: Sequence[Figure],
    sections: Mapping[str, Sequence[Fact]],
) -> None:
    """Everything that the tables hold."""
    document = {
        **about,
        "figures": [asdict(figure) | {"failed": figure.failed} for figure in figures],
        **{
            section: [asdict(fact) | {"failed": fact.failed} for fact in facts]
            for section, facts in sections.items()
        },
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

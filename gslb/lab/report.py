"""A drill's report: what happened when, and what was expected of it.

Knows: a timeline in seconds since the drill began, expectations kept or not. Refuses to
know: what a drill does. Invariant: it passed only if there was an expectation and every one
of them held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from gslb.lab.screen import Screen


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, `at_s` seconds after the drill began."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that had to hold; `detail` is what was seen."""

    what: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """How long a change took to reach the last client, as a sum, in seconds.

    `verdict_s`: from the event to the prober's verdict; `publish_s`: to the first new
    answer; `caches_s`: to the last client, whose resolver had to forget the old one first.
    `first`: what the first part is, where no verdict was waited for.
    """

    what: str
    verdict_s: float
    publish_s: float
    caches_s: float
    first: str = "verdict"

    def __str__(self) -> str:
        total_s = self.verdict_s + self.publish_s + self.caches_s
        return (
            f"{self.what} takes: {self.first} {self.verdict_s:.2f} s"
            f" + publish {self.publish_s:.2f} s + TTL {self.caches_s:.2f} s = {total_s:.2f} s"
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Figures side by side: a title, what the columns are, and the rows, as they are printed."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """The title, the columns and the rows; columns as wide as what stands in them."""
        whole = [self.columns, *self.rows]
        widths = [max(len(row[at]) for row in whole) for at in range(len(self.columns))]
        return [
            self.title,
            *(
                "  ".join(
                    [
                        f"  {row[0]:<{widths[0]}}",
                        *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)),
                    ]
                )
                for row in whole
            ),
        ]


@dataclass(slots=True)
class Report:
    """Filled by a drill while it runs; `clock` is the loop's, in seconds."""

    drill: str
    screen: Screen
    clock: Callable[[], float]
    began_s: float
    moments: list[Moment] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True if every expectation held."""
        return bool(self.expectations) and all(e.passed for e in self.expectations)

    def mark(self, what: str, at_s: float | None = None) -> float:
        """Notes a moment, now unless said otherwise, and returns when it was on the clock."""
        when_s: Final = self.clock() if at_s is None else at_s
        self.moments.append(Moment(when_s - self.began_s, what))
        self.screen.say(f"{when_s - self.began_s:7.2f} s  {what}")
        return when_s

    def measure(self, passage: Passage) -> None:
        """Notes how long a change took."""
        self.passages.append(passage)

    def tabulate(self, table: Table) -> None:
        """Notes figures side by side."""
        self.tables.append(table)

    def expect(self, what: str, passed: bool, detail: str = "") -> None:
        """Notes an expectation and whether it held."""
        self.expectations.append(Expectation(what, passed, detail))

    def close(self) -> None:
        """Prints sums and expectations, or all of it as one JSON object."""
        for passage in self.passages:
            self.screen.say(str(passage))
        for table in self.tables:
            for line in table.lines():
                self.screen.say(line)
        for expectation in self.expectations:
            word = "PASS" if expectation.passed else "FAIL"
            detail = f" ({expectation.detail})" if expectation.detail else ""
            self.screen.say(f"{word}  {expectation.what}{detail}")
        held = sum(e.passed for e in self.expectations)
        self.screen.say(f"drill {self.drill}: {held} of {len(self.expectations)} expectations held")
        self.screen.emit(
            {
                "drill": self.drill,
                "passed": self.passed,
                "timeline": [asdict(moment) for moment in self.moments],
                "passages": [asdict(passage) for passage in self.passages],
                "tables": [asdict(table) for table in self.tables],
                "expectations": [asdict(expectation) for expectation in self.expectations],
            }
        )

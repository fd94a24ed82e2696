"""Collecting every problem instead of stopping at the first.

Knows: how a text of the operator is quoted, how a near miss is suggested, how many
problems are enough. Refuses to know: YAML and what the problems mean. Invariant: memory
and time stay bounded however bad the input is; one place has one problem of a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Final

from gslb.errors import Problem, Severity, Where

MOST_PROBLEMS: Final = 1000
MOST_COMPARISONS: Final = 50_000  # of names, in all suggestions together: about a second
LONGEST_NAME: Final = 64  # longer ones are not compared
LONGEST_QUOTE: Final = 80
LONGEST_MESSAGE: Final = 600
NEAR: Final = 0.6
FEW: Final = 8  # names that a message lists


class Report:
    """The problems found so far."""

    def __init__(self) -> None:
        self._problems: dict[tuple[Where, str], Problem] = {}
        self._late: dict[tuple[Where, str], Problem] = {}
        self._comparisons = 0
        self._left_out = 0
        self.errors = 0

    @property
    def failed(self) -> bool:
        """True if there was an error."""
        return self.errors > 0

    def error(self, where: Where, subject: str, what: str, hint: str = "") -> None:
        """Something that must be mended before the configuration loads."""
        self.errors += 1
        self._add(self._problems, Problem(where, subject, what, hint))

    def exceed(self, where: Where, subject: str, what: str, cap: str) -> None:
        """An error: more than a setting of `server.limits` allows."""
        self.errors += 1
        hint = f"take some away, or raise server.limits.{cap}"
        self._add(self._problems, Problem(where, subject, what, hint, cap=cap))

    def warn(self, where: Where, subject: str, what: str, hint: str = "") -> None:
        """Something that loads and is probably not meant."""
        self._add(self._problems, Problem(where, subject, what, hint, "warning"))

    def defer(self, where: Where, subject: str, what: str, hint: str = "") -> None:
        """A warning that whoever loads makes an error, unless the server is starting.

        It is about a file of this machine. However many others there are, it is not left out.
        """
        self._add(self._late, Problem(where, subject, what, hint, "warning"))

    def suggest(self, name: str, known: Iterable[str]) -> str:
        """`did you mean "x"?` for a name that is not known; without a near one all, if few."""
        if self._comparisons >= MOST_COMPARISONS:
            return ""
        names = tuple(known)
        if near := self.nearest(name, names):
            return f"did you mean {quote(near)}?"
        if not names:
            return "none is defined"
        return f"known here: {listing(names)}" if len(names) <= FEW else ""

    def nearest(self, name: str, known: Iterable[str]) -> str:
        """The known name that a misspelt one probably means, or ""."""
        if len(name) > LONGEST_NAME or self._comparisons >= MOST_COMPARISONS:
            return ""
        best, best_ratio = "", NEAR
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(name.lower())
        for candidate in known:
            if self._comparisons >= MOST_COMPARISONS:
                break
            self._comparisons += 1
            matcher.set_seq1(candidate[:LONGEST_NAME].lower())
            if matcher.real_quick_ratio() < best_ratio or matcher.quick_ratio() < best_ratio:
                continue
            if (ratio := matcher.ratio()) > best_ratio:
                best, best_ratio = candidate, ratio
        return best

    def unknown(
        self, where: Where, subject: str, noun: str, name: str, known: Collection[str]
    ) -> None:
        """An error: `unknown pool "web-sfo"; did you mean "web-nrt"?`."""
        self.error(where, subject, f"unknown {noun} {quote(name)}", self.suggest(name, known))

    def problems(self) -> tuple[Problem, ...]:
        """All of them, by file, line and column."""
        found = sorted((*self._problems.values(), *self._late.values()))
        if self._left_out:
            what = f"{self._left_out} more problems are left out"
            severity: Severity = "error" if self.failed else "warning"
            found.append(Problem(Where(found[-1].where.file), "", what, severity=severity))
        return tuple(found)

    @property
    def late(self) -> frozenset[Problem]:
        """Those of the problems that were deferred."""
        return frozenset(self._late.values())

    def _add(self, found: dict[tuple[Where, str], Problem], problem: Problem) -> None:
        if len(found) >= MOST_PROBLEMS:
            self._left_out += 1
            return
        # What was not quoted (a hint that repeats a value, a library's message) is tamed here.
        what, hint = (_tame(text, LONGEST_MESSAGE) for text in (problem.what, problem.hint))
        found.setdefault((problem.where, what), replace(problem, what=what, hint=hint))


def quote(text: str) -> str:
    """A text of the operator in double quotes, shortened, nothing in it a terminal obeys."""
    return f'"{_tame(text, LONGEST_QUOTE)}"'


def _tame(text: str, longest: int) -> str:
    if len(text) > longest:
        text = text[:longest] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def listing(words: Iterable[str]) -> str:
    """Words as a sentence lists them: `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

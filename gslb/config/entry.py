r"""Splitting a master file into entries and words (RFC 1035 section 5.1).

Knows: quotes, comments, parentheses, escapes, lines. Refuses to know: names, types,
directives, files. Invariant: no text makes it raise; every word lies where its entry says;
an entry that is not closed costs that entry, not the rest of the file.

A word's text is what stands in the file: escapes are kept, the quotes of a string are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from gslb.config.report import LONGEST_QUOTE, quote

# The longest RDATA has 65 535 octets: four characters each as \DDD, and room for comments.
MAX_ENTRY: Final = 512 * 1024
# Each recovery may read MAX_ENTRY characters twice; a file of "(" must not cost more than this.
MAX_UNCLOSED: Final = 10

# Possessive quantifiers stand on single characters only: on a group they are wrong in Python
# before 3.11.5, Debian 12's among them (they lose what the last round took).
_BLANK_LINES: Final = re.compile(r"(?:[ \t]*+(?:;[^\n]*+)?\n)+")
_WORD: Final = re.compile(
    r"""[ \t]*+(?:
      (?P<plain>(?:[^ \t\n;"()\\]++|\\[^\n])+)
    | (?P<end>\n|\Z)
    | (?P<comment>;[^\n]*+)
    | "(?P<quoted>(?:[^"\\\n]++|\\[^\n])*)"
    | (?P<open>\()
    | (?P<close>\))
    | (?P<unquoted>")
    | (?P<backslash>\\)
    )""",
    re.VERBOSE,
)
_NEW_ENTRY: Final = re.compile(r"\n(?=[^ \t\n;()])")


class Word(NamedTuple):
    """One word: its text, whether it was quoted, and its offset in the entry's text."""

    text: str
    quoted: bool
    at: int


class Fault(NamedTuple):
    """Why an entry cannot be read: what is wrong, what to do, the offset in its text."""

    what: str
    hint: str
    at: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its text from the start of its first line, that line's number, its words.

    `indented`: begins with blanks, so that the owner is the one before. With a `fault` the
    words are those found until then.
    """

    text: str
    line: int
    indented: bool
    words: list[Word]
    fault: Fault | None = None

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, from 1, of an offset in the entry's text."""
        newline = self.text.rfind("\n", 0, at)
        return self.line + self.text.count("\n", 0, at), at - newline

    def quote(self) -> str:
        """The entry on one line, shortened and in quotes, to be shown in a message."""
        return quote(" ".join(self.text[: 4 * LONGEST_QUOTE].split()))


def split(text: str) -> Iterator[Entry]:
    r"""The entries of a master file in turn; its lines end in \n."""
    position, line, unclosed = 0, 1, 0
    while position < len(text):
        if (blank := _BLANK_LINES.match(text, position)) is not None:
            line += text.count("\n", position, blank.end())
            position = blank.end()
            continue
        entry, end, is_closed = _read(text, position, line)
        unclosed += not is_closed
        if entry.words or entry.fault is not None:
            yield entry
        if unclosed == MAX_UNCLOSED:
            at = len(entry.text)
            what = f"{MAX_UNCLOSED} parentheses are not closed: reading stopped here"
            yield Entry(entry.text, line, False, [], Fault(what, "mend the first ones", at))
            return
        line += text.count("\n", position, end)
        position = end


def _read(text: str, start: int, line: int) -> tuple[Entry, int, bool]:
    """The entry at `start`, where to go on, and whether its parentheses were closed."""
    words: list[Word] = []
    fault: Fault | None = None
    opened, depth, position = 0, 0, start
    while position - start <= MAX_ENTRY:
        found = _WORD.match(text, position)
        if found is None or (kind := found.lastgroup) is None:  # pragma: no cover
            raise AssertionError("every character begins a word")
        at = found.start(kind) - start
        position = found.end()
        if kind == "plain":
            words.append(Word(found[kind], False, at))
        elif kind == "quoted":
            words.append(Word(found[kind], True, at - 1))
        elif kind == "end":
            if not depth or position == len(text):
                break
        elif kind == "open":
            if not depth:
                opened = at
            depth += 1
        elif kind == "close" and depth:
            depth -= 1
        elif kind != "comment":
            fault = fault or _fault(kind, at)
            if kind == "unquoted":  # a string ends on its line, so the next line is sound
                position = _end_of_line(text, position)
    is_closed = not depth
    if depth:
        fresh = _NEW_ENTRY.search(text, start + opened)
        position = len(text) if fresh is None else fresh.end()
        words = [word for word in words if word.at < position - start]  # the rest is read again
        if fault is None or fault.at >= position - start:
            fault = Fault('"(" is never closed', 'write the ")"', opened)
    elif position - start > MAX_ENTRY:
        fault = fault or Fault(f"an entry of more than {MAX_ENTRY} characters", "shorten it", 0)
        position = _end_of_line(text, position - 1)
    whole = text[start:position].removesuffix("\n")
    return Entry(whole, line, text[start] in " \t", words, fault), position, is_closed


def _fault(kind: str, at: int) -> Fault:
    if kind == "close":
        return Fault('")" without a "("', "take it away, or write \\) for the character", at)
    if kind == "unquoted":
        return Fault("a quoted string is not closed on its line", "write the closing quote", at)
    return Fault("a backslash at the end of the line", "write \\\\ for the character", at)


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end

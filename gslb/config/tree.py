"""A YAML document as a tree in which every key and value knows its place.

Knows: the three shapes of YAML and the scalars of YAML 1.2's core schema (section
10.3.2), in which only true and false are booleans: `NO` is Norway, `off` a word.
Refuses to know: files, parsers, what the keys mean. Invariant: keys are text and unique;
a tree is at most `document.DEEPEST` deep, so walking it recursively is safe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gslb.errors import Where

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE: Final = frozenset(("true", "True", "TRUE"))
_FALSE: Final = frozenset(("false", "False", "FALSE"))
# More digits than these are no number anybody means; int() would refuse 5 000 of them.
MOST_DIGITS: Final = 18
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?"
)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word, number or text. `plain` is False for a quoted one, which is always text."""

    where: Where
    text: str
    plain: bool = True

    @property
    def value(self) -> str | int | float | bool | None:
        """What YAML 1.2's core schema says it is."""
        text = self.text
        if not self.plain:
            return text
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INT.fullmatch(text):
            return int(text) if text[0] in "+-" or text[1:2] not in ("o", "x") else int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return text

    @property
    def is_null(self) -> bool:
        """True for an empty value, `~` and `null`."""
        return self.plain and self.text in _NULL


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    where: Where
    items: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, with the place of the key, and its value."""

    where: Where
    key: str
    value: Tree


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file."""

    where: Where
    entries: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> Tree | None:
        """The value of a key, or None if the key is not there."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def place(self, key: str) -> Where:
        """Where a key stands; without it, where the mapping does."""
        entry = self.entries.get(key)
        return self.where if entry is None else entry.where

    def without(self, *keys: str) -> Mapping:
        """The mapping less some keys."""
        return Mapping(self.where, {k: e for k, e in self.entries.items() if k not in keys})

    def only(self, keys: frozenset[str]) -> Mapping:
        """The mapping with no other keys than these."""
        return Mapping(self.where, {k: e for k, e in self.entries.items() if k in keys})

    def over(self, defaults: Mapping) -> Mapping:
        """The mapping, and what the defaults have beyond it."""
        return Mapping(self.where, {**defaults.entries, **self.entries})


Tree = Scalar | Sequence | Mapping


def plain(tree: Tree) -> object:
    """The tree as plain values: tuples for lists, dicts for mappings."""
    match tree:
        case Scalar():
            return tree.value
        case Sequence():
            return tuple(plain(item) for item in tree.items)
        case Mapping():
            return {key: plain(entry.value) for key, entry in tree.entries.items()}


def place_of(tree: Tree, path: tuple[int | str, ...], *, key: bool) -> Where:
    """Where the value at a path stands, or with `key` its key; as far down as the path exists."""
    where = tree.where
    for last, step in enumerate(path, start=1 - len(path)):
        match tree:
            case Mapping() if isinstance(step, str) and step in tree.entries:
                entry = tree.entries[step]
                tree = entry.value
                where = entry.where if key and last == 0 else tree.where
            case Sequence() if isinstance(step, int) and step < len(tree.items):
                tree = tree.items[step]
                where = tree.where
            case _:
                break
    return where

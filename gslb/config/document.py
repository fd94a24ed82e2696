"""From the octets of gslb.yaml to a tree: the only importer of yaml.

Knows: how a file may be bad before its content matters: unreadable, huge, binary, not
UTF-8, not YAML, too deep, with anchors, tags or duplicate keys. Refuses to know: what
the keys mean. Invariant: the tree is put together from the parser's events, one by one,
so depth and size are bounded while reading (libyaml's own composer recurses and crashes
on deep nesting), and nothing is ever written twice, so nothing can expand.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from gslb.config.report import Report, quote
from gslb.config.tree import Entry, Mapping, Scalar, Sequence, Tree
from gslb.errors import Where

LARGEST: Final = 8 * 1024 * 1024
DEEPEST: Final = 32
MOST_VALUES: Final = 1_000_000

_REPEAT: Final = "repeat with `defaults:`"
_UNPRINTABLE: Final = re.compile(  # YAML 1.2 section 5.1, less what it allows
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_ADDRESS_WITH_COLON: Final = re.compile(
    r"""(?<![\w"':.])(?:\[::[0-9a-fA-F:.]*\]:\d+|::[0-9a-fA-F:.]*(?:/\d+)?"""
    r"""|[0-9a-fA-F]{1,4}:[0-9a-fA-F:]*:(?=[\s,\]}]|$))"""
)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: slower, the same


class _RefusedError(Exception):
    """Reading cannot go on; the reason was complained of."""


def read_document(path: str, report: Report) -> Mapping | None:
    """The root mapping of a YAML file, or None after complaining of what is wrong with it."""
    try:
        text = _read_text(path, report)
        root = _Composer(path, report).compose(text)
    except _RefusedError:
        return None
    if root is None or (isinstance(root, Scalar) and root.is_null):
        report.error(Where(path), "", "the file is empty")
        return None
    if not isinstance(root, Mapping):
        report.error(root.where, "", "the file is not a mapping of keys to values")
        return None
    return root


def _read_text(path: str, report: Report) -> str:
    try:
        octets = _read_octets(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        report.error(Where(path), "", f"cannot be read: {reason}")
        raise _RefusedError from error
    if len(octets) > LARGEST:
        report.error(Where(path), "", "larger than 8 MiB")
        raise _RefusedError
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode("utf-8", "replace")
        report.error(_place(path, good, len(good)), "", "not UTF-8", "save the file as UTF-8")
        raise _RefusedError from error
    if bad := _UNPRINTABLE.search(text):
        what = f"control character U+{ord(bad[0]):04X}"
        report.error(_place(path, text, bad.start()), "", what, "is this a text file?")
        raise _RefusedError
    return text


def _read_octets(path: str) -> bytes:
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is not a regular file")
        return file.read(LARGEST + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    # A pipe that nobody writes to must not hold up a reload.
    return os.open(path, flags | os.O_NONBLOCK)


def _place(path: str, text: str, at: int) -> Where:
    return Where(path, text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1)


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is not closed yet; a mapping's keys and values alternate."""

    where: Where
    is_mapping: bool
    parts: list[Tree] = field(default_factory=list)


class _Composer:
    """Builds one tree from parser events."""

    def __init__(self, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._frames: list[_Frame] = []
        self._root: Tree | None = None
        self._values = 0
        self._refused = False

    def compose(self, text: str) -> Tree | None:
        """The tree, None for an empty document. Raises _RefusedError after complaining."""
        try:
            for event in _events(text):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._complain_of_syntax(error, text)
            raise _RefusedError from error
        except yaml.YAMLError as error:
            self._report.error(Where(self._path), "", f"not YAML: {error}")
            raise _RefusedError from error
        if self._refused:
            raise _RefusedError
        return self._root

    def _take(self, event: yaml.Event) -> None:
        where = self._where(event.start_mark)
        match event:
            case yaml.AliasEvent():
                self._refuse(where, f"alias {quote('*' + str(event.anchor))}", _REPEAT)
                self._add(Scalar(where, ""))
            case yaml.ScalarEvent():
                self._look_at(event, where)
                plain = not event.style  # libyaml says "", PyYAML None
                if plain and event.value == "<<":
                    self._refuse(where, 'merge key "<<"', _REPEAT)
                self._add(Scalar(where, event.value, plain))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._look_at(event, where)
                if len(self._frames) == DEEPEST:
                    self._stop(where, f"nested deeper than {DEEPEST}")
                self._frames.append(_Frame(where, isinstance(event, yaml.MappingStartEvent)))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._add(self._close(self._frames.pop()))
            case yaml.DocumentStartEvent() if self._root is not None:
                self._stop(where, "a second document", 'remove the line "---"')

    def _add(self, tree: Tree) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            self._stop(tree.where, f"more than {MOST_VALUES} values")
        if self._frames:
            self._frames[-1].parts.append(tree)
        else:
            self._root = tree

    def _close(self, frame: _Frame) -> Tree:
        if not frame.is_mapping:
            return Sequence(frame.where, tuple(frame.parts))
        entries: dict[str, Entry] = {}
        for key, value in zip(frame.parts[::2], frame.parts[1::2], strict=True):
            if not isinstance(key, Scalar) or not key.text:
                self._report.error(key.where, "", "a key is one word")
            elif key.text in entries:
                first = entries[key.text].where.line
                what = f"key {quote(key.text)} stands twice"
                self._report.error(key.where, "", what, f"the first is in line {first}")
            else:
                entries[key.text] = Entry(key.where, key.text, value)
        return Mapping(frame.where, entries)

    def _look_at(self, event: yaml.NodeEvent, where: Where) -> None:
        if event.anchor is not None:
            self._refuse(where, f"anchor {quote('&' + str(event.anchor))}", _REPEAT)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(where, f"tag {quote(str(tag))}", "write the value without it")

    def _refuse(self, where: Where, what: str, hint: str) -> None:
        self._refused = True
        self._report.error(where, "", f"{what} is refused", hint)

    def _where(self, mark: object) -> Where:
        # libyaml's marks and PyYAML's own are two classes with the same two counters from 0.
        line, column = getattr(mark, "line", -1), getattr(mark, "column", -1)
        return Where(self._path, line + 1, column + 1)

    def _stop(self, where: Where, what: str, hint: str = "") -> None:
        self._report.error(where, "", what, hint)
        raise _RefusedError

    def _complain_of_syntax(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark = error.problem_mark
        lines = text.splitlines()  # as libyaml counts them: U+0085 and U+2028 end lines too
        line = lines[mark.line][:1000] if mark is not None and mark.line < len(lines) else ""
        hint = ""
        if token := _ADDRESS_WITH_COLON.search(line):
            hint = f"quote it: {quote(token[0])}"
        elif mark is not None and line[mark.column : mark.column + 1] == "\t":
            hint = "indent with spaces, not with tabs"
        context = f" ({error.context}{self._since(error)})" if error.context else ""
        where = self._where(mark)
        self._report.error(where, "", f"not YAML: {error.problem}{context}", hint)

    def _since(self, error: yaml.MarkedYAMLError) -> str:
        """Where what is not closed begins, if that is in another line."""
        begin, end = self._where(error.context_mark), self._where(error.problem_mark)
        return f" that begins in line {begin.line}" if 0 < begin.line < end.line else ""


def _events(text: str) -> Iterator[yaml.Event]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()

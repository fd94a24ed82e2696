"""Files that are bad before their content matters: a problem with a place, quickly."""

from __future__ import annotations

import os
import socket

import pytest
import yaml
from gslb.config import document
from gslb.config.document import read_document
from gslb.config.reader import read_configuration
from gslb.config.report import Report
from gslb.config.tree import Mapping, Scalar, plain
from gslb.errors import Where
from hypothesis import given
from hypothesis import strategies as st


def problems(tmp_path, content):
    path = tmp_path / "gslb.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = Report()
    tree = read_document(str(path), report)
    return tree, [str(p).removeprefix(str(path)) for p in report.problems()]


def value_of(tmp_path, text):
    tree, found = problems(tmp_path, f"key: {text}\n")
    assert not found
    return plain(tree)["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("08", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-20", "2026-11-20"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("'7'", "7"),
        ('"true"', "true"),
        ("''", ""),
        ("9" * 5000, "9" * 5000),
        ("0b11", "0b11"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path, text, value):
    assert value_of(tmp_path, text) == value
    assert type(value_of(tmp_path, text)) is type(value)


def test_keys_and_values_know_their_places(tmp_path):
    tree, _ = problems(tmp_path, "a:\n  - b: x\n    c: [1, é, 'y']\n")
    assert tree.place("a").line == 1
    item = tree.get("a").items[0]
    assert (item.place("c").line, item.place("c").column) == (3, 5)
    third = item.get("c").items[2]
    assert (third.where.line, third.where.column) == (3, 15)


def test_keys_are_text_even_when_they_look_like_numbers(tmp_path):
    tree, _ = problems(tmp_path, "1: a\ntrue: b\n")
    assert list(tree.entries) == ["1", "true"]


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    tree, found = problems(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert not found
    assert plain(tree) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": error: the file is empty"),
        ("# nothing\n", ": error: the file is empty"),
        ("---\n", ": error: the file is empty"),
        ("- a\n", ":1:1: error: the file is not a mapping of keys to values"),
        ("word\n", ":1:1: error: the file is not a mapping of keys to values"),
        (b"a: 1\nb: \xe9\n", ":2:4: error: not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea\x00", ":1:1: error: not UTF-8; save the file as UTF-8"),
        ("a: 1\nb: \x00\n", ":2:4: error: control character U+0000; is this a text file?"),
        ("a: \x1b[31m\n", ":1:4: error: control character U+001B; is this a text file?"),
        ("a: 1\n---\nb: 2\n", ':2:1: error: a second document; remove the line "---"'),
        ("a: 1\nb: 2\na: 3\n", ':3:1: error: key "a" stands twice; the first is in line 1'),
        ("? [a]\n: b\n", ":1:3: error: a key is one word"),
        ("? {a: b}\n: b\n", ":1:3: error: a key is one word"),
        ("'': b\n", ":1:1: error: a key is one word"),
        ("a: &x 1\n", ':1:4: error: anchor "&x" is refused; repeat with `defaults:`'),
        ("a: *x\n", ':1:4: error: alias "*x" is refused; repeat with `defaults:`'),
        ("a: {<<: b}\n", ':1:5: error: merge key "<<" is refused; repeat with `defaults:`'),
        (
            "a: !!python/object:os.system x\n",
            ':1:4: error: tag "tag:yaml.org,2002:python/object:os.system" is refused;'
            " write the value without it",
        ),
        (
            "a: 'b\n",
            ":2:1: error: not YAML: found unexpected end of stream"
            " (while scanning a quoted scalar that begins in line 1)",
        ),
        (
            "a:\n\tb: 1\n",
            ":2:1: error: not YAML: found character that cannot start any token"
            " (while scanning for the next token); indent with spaces, not with tabs",
        ),
    ],
)
def test_a_bad_file_is_one_problem_with_its_place(tmp_path, content, message):
    _, found = problems(tmp_path, content)
    assert found == [message]


def test_a_quoted_merge_key_is_a_key_like_any_other(tmp_path):
    tree, found = problems(tmp_path, "'<<': 1\n")
    assert not found
    assert "<<" in tree.entries


def test_every_anchor_alias_and_tag_is_named(tmp_path):
    tree, found = problems(tmp_path, "a: &x 1\nb: *x\nc: {<<: *x}\nd: !t 2\n")
    assert tree is None
    assert [line.split(":")[1] for line in found] == ["1", "2", "3", "3", "4"]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a: 2001:db8::\n", "2001:db8::"),
        ("a: {b: ::1}\n", "::1"),
        ("a: {b: 2001:db8::}\n", "2001:db8::"),
        ("a: {b: 2001:db8::, c: 1}\n", "2001:db8::"),
        ("a: [2001:db8::]\n", "2001:db8::"),
        ("a: [::/0]\n", "::/0"),
        ("a: [::1]\n", "::1"),
        ("a: [::1]:5300\n", "[::1]:5300"),
        ("a: [::]:53\n", "[::]:53"),
        ("a: ::\n", "::"),
        ('a: ["2001:db8::", ::1]\n', "::1"),
    ],
)
def test_an_address_that_yaml_trips_over_is_to_be_quoted(tmp_path, text, token):
    _, found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].endswith(f'; quote it: "{token}"')


def test_nesting_is_counted_while_parsing(tmp_path):
    deep = document.DEEPEST
    tree, found = problems(tmp_path, "a: " + "[" * (deep - 1) + "]" * (deep - 1) + "\n")
    assert tree is not None
    assert not found
    _, found = problems(tmp_path, "a: " + "[" * deep + "]" * deep + "\n")
    assert found == [f":1:{deep + 3}: error: nested deeper than 32"]


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "? ", "[a: ", "{["])
def test_a_million_brackets_are_refused_at_once(tmp_path, piece):
    _, found = problems(tmp_path, piece * 1_000_000)
    assert len(found) == 1
    assert found[0].endswith("nested deeper than 32")


def test_a_file_over_8_mib_is_refused_unread(tmp_path):
    _, found = problems(tmp_path, b"#" * (8 * 1024 * 1024 + 1))
    assert found == [": error: larger than 8 MiB"]
    tree, found = problems(tmp_path, b"a: 1\n#" + b"#" * (8 * 1024 * 1024 - 6))
    assert tree is not None
    assert not found


def test_the_number_of_values_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "MOST_VALUES", 1000)
    _, found = problems(tmp_path, "a: [" + "b," * 2000 + "]\n")
    assert found == [":1:2003: error: more than 1000 values"]


def test_a_flood_of_problems_is_cut(tmp_path):
    _, found = problems(tmp_path, "a: 1\n" * 5000)
    assert len(found) == 1001
    assert found[-1] == ": error: 3999 more problems are left out"


def test_pythons_own_parser_reads_the_same(tmp_path, monkeypatch):
    text = "a: {b: [1, '2', off], c: }\nd: |\n  text\n"
    with_libyaml = plain(problems(tmp_path, text)[0])
    monkeypatch.setattr(document, "_Loader", yaml.SafeLoader)
    assert plain(problems(tmp_path, text)[0]) == with_libyaml
    _, found = problems(tmp_path, "a: [::1]\n")
    assert found[0].endswith('; quote it: "::1"')
    _, found = problems(tmp_path, "[" * 100_000)
    assert found == [":1:33: error: nested deeper than 32"]


class TestAPathThatCannotBeRead:
    def only_problem(self, path):
        reading = read_configuration(path)
        assert reading.config is None
        (problem,) = reading.problems
        assert problem.where.file == path
        return problem.what

    def test_missing(self, tmp_path):
        missing = str(tmp_path / "no.yaml")
        assert self.only_problem(missing) == "cannot be read: No such file or directory"

    def test_a_directory(self, tmp_path):
        assert self.only_problem(str(tmp_path)) == "cannot be read: Is a directory"

    def test_a_symlink_loop(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        assert "symbolic links" in self.only_problem(str(tmp_path / "a"))

    def test_a_pipe_that_nobody_writes_to(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        what = self.only_problem(str(tmp_path / "pipe"))
        assert what == "cannot be read: it is not a regular file"

    def test_a_device(self):
        assert self.only_problem("/dev/zero") == "cannot be read: it is not a regular file"

    def test_a_socket(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            assert "cannot be read" in self.only_problem(str(tmp_path / "s"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, tmp_path):
        path = tmp_path / "gslb.yaml"
        path.write_text("a: 1\n")
        path.chmod(0)
        assert "Permission denied" in self.only_problem(str(path))

    def test_a_path_with_a_nul(self):
        assert "cannot be read" in self.only_problem("gslb\0.yaml")


@given(st.binary(max_size=300))
def test_no_octets_make_the_reader_raise(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any", numbered=True)
    tree, found = problems(folder, content)
    assert isinstance(tree, Mapping) or found


@given(st.text(alphabet="ab:-[]{}?,&*!|>'\"#%@` \n\t<~0.", max_size=60))
def test_no_punctuation_makes_the_reader_raise(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("any", numbered=True)
    tree, found = problems(folder, text)
    assert isinstance(tree, Mapping) or found


@given(st.text(max_size=40))
def test_what_a_scalar_is_never_raises(text):
    value = Scalar(Where("x"), text).value
    assert value is None or isinstance(value, str | int | float | bool)

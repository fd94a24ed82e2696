"""The splitter: entries, words, places, and recovery from what is not closed."""

import pytest
from gslb.config.entry import MAX_ENTRY, MAX_UNCLOSED, split
from hypothesis import given
from hypothesis import strategies as st

ZONE_TEXT = st.text(st.sampled_from(list('a1.@$\\"();\n\t é')), max_size=120)


def words(text):
    return [[word.text for word in entry.words] for entry in split(text)]


def faults(text):
    return [(entry.place(entry.fault.at), entry.fault.what) for entry in split(text) if entry.fault]


def test_comments_and_blank_lines_are_no_entries():
    text = "; nothing\n\n \t\n  ; nor this\nwww A 192.0.2.1 ; comment\n"
    (entry,) = split(text)
    assert (entry.line, [word.text for word in entry.words]) == (5, ["www", "A", "192.0.2.1"])


def test_parentheses_join_lines_and_the_next_entry_keeps_its_line():
    text = "@ SOA ns1 host (\n  1 ; serial\n  2 3 4 5 )\nwww A 192.0.2.1\n"
    first, second = split(text)
    assert [word.text for word in first.words] == ["@", "SOA", "ns1", "host", *"12345"]
    assert (first.line, second.line) == (1, 4)


def test_a_word_is_found_at_its_line_and_column():
    (entry,) = split("\n@ SOA ns1 host (\n  1 2\n\t345 )")
    places = {word.text: entry.place(word.at) for word in entry.words}
    assert places["@"] == (2, 1)
    assert places["host"] == (2, 11)
    assert places["2"] == (3, 5)
    assert places["345"] == (4, 2)


def test_a_quoted_string_hides_every_special_character():
    (entry,) = split('t TXT "a;b ( c" "q\\"q" ""\n')
    assert [(word.text, word.quoted) for word in entry.words[2:]] == [
        ("a;b ( c", True),
        ('q\\"q', True),
        ("", True),
    ]


def test_an_escape_hides_one_character():
    assert words("a\\;b \\( c\\ d\n") == [["a\\;b", "\\(", "c\\ d"]]


def test_an_indented_entry_says_so():
    assert [entry.indented for entry in split("a A 1\n\tNS b\nc A 2")] == [False, True, False]


def test_an_unclosed_quote_costs_its_line_only():
    text = 'a TXT "x ; y\nb A 192.0.2.1\n'
    assert faults(text) == [((1, 7), "a quoted string is not closed on its line")]
    assert words(text)[1] == ["b", "A", "192.0.2.1"]


def test_an_unclosed_parenthesis_is_told_where_it_opened_and_costs_its_entry_only():
    text = "$TTL 300\n@ SOA ns1 host (\n  1 2\n  3 4 5\nwww A 192.0.2.1\n\tTXT x\n"
    assert faults(text) == [((2, 16), '"(" is never closed')]
    assert words(text)[2:] == [["www", "A", "192.0.2.1"], ["TXT", "x"]]
    assert [entry.line for entry in split(text)] == [1, 2, 5, 6]


def test_what_an_unclosed_parenthesis_swallowed_is_read_again_and_told_once():
    text = 'a TXT (\nb TXT "open\nc A 192.0.2.1\n'
    assert words(text) == [["a", "TXT"], ["b", "TXT"], ["c", "A", "192.0.2.1"]]
    assert [place for place, _ in faults(text)] == [(1, 7), (2, 7)]


def test_a_closing_parenthesis_alone_is_told_at_its_place():
    assert faults("a A 192.0.2.1\nb A 192.0.2.2 )\n") == [((2, 15), '")" without a "("')]


def test_a_backslash_at_the_end_of_a_line_is_told():
    assert faults("a A \\\nb A 192.0.2.1\n") == [((1, 5), "a backslash at the end of the line")]


def test_many_unclosed_parentheses_end_the_reading():
    entries = list(split("a (\n" * 1000))
    assert len(entries) == MAX_UNCLOSED + 1
    assert "reading stopped" in entries[-1].fault.what
    assert entries[-1].line == MAX_UNCLOSED


def test_an_entry_that_is_too_long_is_skipped():
    text = "a TXT " + "x " * MAX_ENTRY + "\nb A 192.0.2.1\n"
    long, short = split(text)
    assert str(MAX_ENTRY) in long.fault.what
    assert (short.line, short.text) == (2, "b A 192.0.2.1")


@pytest.mark.parametrize("character", '()"\\;a')
def test_a_flood_of_one_character_is_split_without_harm(character):
    text = character * 700_001
    for entry in split(text):
        assert len(entry.text) <= len(text)


@given(st.text(max_size=200) | ZONE_TEXT)
def test_no_text_makes_it_raise_and_every_word_lies_where_its_entry_says(text):
    lines = text.split("\n")
    before = 0
    for entry in split(text):
        if entry.fault and "reading stopped" in entry.fault.what:
            break
        assert entry.line > before
        before = entry.line + entry.text.count("\n")
        assert lines[entry.line - 1].startswith(entry.text.split("\n")[0])
        assert entry.fault is None or entry.fault.at <= len(entry.text)
        for word in entry.words:
            line, column = entry.place(word.at)
            assert lines[line - 1][column - 1 :].startswith('"' if word.quoted else word.text)


@given(st.lists(st.sampled_from(["a", "b.c", '"q r"', "\\(", "x\\032y"]), min_size=1, max_size=9))
def test_what_is_written_is_read(parts):
    assert words(" ".join(parts)) == [[part.strip('"') for part in parts]]
    assert words("a (\n" + " ;c\n".join(parts) + "\n)") == [["a", *(p.strip('"') for p in parts)]]


def test_an_indented_entry_after_a_blank_line_keeps_its_owner() -> None:
    first, second = split("x A 192.0.2.1\n\n  TXT hi\n")
    assert (first.indented, second.indented) == (False, True)
    assert [word.text for word in second.words] == ["TXT", "hi"]
    assert second.line == 3

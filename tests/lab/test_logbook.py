"""A client's visits: numbered, counted, held up to a limit, and told when something changes."""

from __future__ import annotations

from gslb.lab import logbook as under_test
from gslb.lab.logbook import Entry, Logbook


def visit(family: int, region: str, address: str, failure: str = "") -> Entry:
    return Entry(1.0, 2.0, family, region, address, failure)


def at_fra(family: int = 4, failure: str = "") -> Entry:
    return visit(family, "fra", f"address{family}-of-fra", failure)


def at_iad(family: int = 4, failure: str = "") -> Entry:
    return visit(family, "iad", f"address{family}-of-iad", failure)


def test_only_a_change_is_told() -> None:
    book = Logbook()
    told = [
        book.add(entry)
        for entry in (
            at_fra(),
            at_fra(),
            at_fra(failure="timed out"),
            at_fra(failure="connection refused"),
            at_iad(),
            at_iad(),
            visit(4, "", "", "no answer: timed out"),
            visit(4, "", "", "no answer: SERVFAIL"),
            at_iad(failure="timed out"),
            at_iad(),
        )
    ]
    assert told == [
        "IPv4 is at fra, address4-of-fra",
        "",
        "IPv4 is lost (fra, address4-of-fra): timed out",
        "",
        "IPv4 is at iad, address4-of-iad after 2 lost",
        "",
        "IPv4 is lost (nowhere): no answer: timed out",
        "",
        "IPv4 is lost (iad, address4-of-iad): timed out",
        "IPv4 is at iad, address4-of-iad after 3 lost",
    ]


def test_the_families_are_told_apart() -> None:
    book = Logbook()
    told = [book.add(entry) for entry in (at_fra(4), at_iad(6), at_fra(4), at_iad(6), at_iad(4))]
    assert told == [
        "IPv4 is at fra, address4-of-fra",
        "IPv6 is at iad, address6-of-iad",
        "",
        "",
        "IPv4 is at iad, address4-of-iad",
    ]


def test_entries_are_numbered_from_1_and_listed_after_a_number() -> None:
    book = Logbook()
    assert list(book.list_after(0)) == []
    entries = [at_fra(4), at_fra(6), at_iad(4)]
    for entry in entries:
        book.add(entry)
    assert list(book.list_after(0)) == list(enumerate(entries, start=1))
    assert list(book.list_after(2)) == [(3, entries[2])]
    assert list(book.list_after(3)) == []
    assert list(book.list_after(99)) == []


def test_the_oldest_entries_are_dropped_and_the_numbers_go_on() -> None:
    book = Logbook()
    for _ in range(under_test.KEPT + 3):
        book.add(at_fra())
    numbers = [number for number, _ in book.list_after(0)]
    assert numbers == list(range(4, under_test.KEPT + 4))
    assert book.count == under_test.KEPT + 3
    assert book.requests["fra"] == under_test.KEPT + 3


def test_the_census_says_where_the_client_is_and_what_was_lost_where() -> None:
    book = Logbook()
    for entry in (
        at_fra(4),
        at_fra(6),
        at_fra(4, "timed out"),
        at_iad(4),
        visit(6, "", "", "no answer: SERVFAIL"),
    ):
        book.add(entry)
    assert book.compose_census().splitlines() == [
        "IPv4: iad, address4-of-iad",
        "IPv6: nowhere: no answer: SERVFAIL",
        "region        requests    lost",
        "(unknown)            1       1",
        "fra                  3       1",
        "iad                  1       0",
    ]

"""Several servers at once: the living are told whatever the dead do."""

import threading

import pytest
from gslb import errand
from gslb.access import Contact
from gslb.errand import Outcome, exit_status, run_errand
from gslb.errors import UnreachableError
from gslb.remote import RefusedError

NAMES = ("http://a", "http://b", "http://c")
CONTACTS = tuple(Contact(name) for name in NAMES)


def test_all_are_asked_at_the_same_time_and_told_in_their_order():
    meeting = threading.Barrier(3, timeout=30)

    def ask(contact):
        meeting.wait()
        return {"from": contact.url}

    outcomes = run_errand(CONTACTS, ask)
    assert [outcome.url for outcome in outcomes] == list(NAMES)
    assert [outcome.body for outcome in outcomes] == [{"from": name} for name in NAMES]
    assert exit_status(outcomes) == 0


def test_who_hangs_is_given_up_and_costs_the_others_nothing(monkeypatch):
    monkeypatch.setattr(errand, "PATIENCE_S", 2.0)  # for the others, on a busy machine
    for_ever = threading.Event()

    def ask(contact):
        if contact.url == "http://a":
            for_ever.wait(30)
        return {}

    try:
        first, *others = run_errand(CONTACTS, ask, "who knows")
    finally:
        for_ever.set()
    assert (first.body, first.status) == (None, 3)
    assert first.error == "http://a: no answer in time (who knows)"
    assert [outcome.body for outcome in others] == [{}, {}]


def test_what_went_wrong_is_told_of_each():
    def ask(contact):
        match contact.url:
            case "http://a":
                raise UnreachableError("http://a: Connection refused")
            case "http://b":
                raise RefusedError(401, "http://b: no")
            case _:
                raise KeyError("x")

    errors = [outcome.error for outcome in run_errand(CONTACTS, ask)]
    assert errors == [
        "http://a: Connection refused",
        "http://b: no; give its file by --token-file",
        "http://c: this is a defect of gslb: KeyError: 'x'",
    ]


def test_only_a_token_that_is_not_known_is_worth_a_hint():
    def ask(contact):
        raise RefusedError(403, "http://a: the token reads only")

    (outcome,) = run_errand(CONTACTS[:1], ask)
    assert outcome.error == "http://a: the token reads only"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [((0, 0), 0), ((0, 1), 1), ((3, 0), 3), ((3, 1), 1), ((1, 3), 1), ((3, 3), 3)],
)
def test_a_refusal_counts_more_than_a_server_that_is_not_there(statuses, expected):
    outcomes = [Outcome("http://a", None, "", status) for status in statuses]
    assert exit_status(outcomes) == expected

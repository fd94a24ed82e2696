"""Events as they are kept."""

from __future__ import annotations

from gslb.app.chronicle import compose, keeping
from gslb.core.kept import Happening
from gslb.observe.log import event


def test_a_transition_is_about_its_target() -> None:
    fields = {
        "check": "web",
        "address": "192.0.2.10",
        "port": 8080,
        "pools": "web-fra",
        "from": "up",
        "to": "down",
        "why": "connect refused (3 in a row)",
    }
    assert compose(1.0, "transition", fields) == Happening(
        1.0,
        "transition",
        "web/192.0.2.10 port 8080",
        "up",
        "down",
        "connect refused (3 in a row) (pools=web-fra)",
        "",
    )


def test_an_override_has_who_and_why() -> None:
    fields = {"object": "pool/a", "from": "none", "to": "drain", "who": "eve", "why": "x"}
    assert compose(1.0, "override", fields) == Happening(
        1.0, "override", "pool/a", "none", "drain", "x", "eve"
    )


def test_other_fields_end_up_in_why_and_are_bounded() -> None:
    found = compose(1.0, "reload", {"zones": "a 1..2", "generation": 7})
    assert found.why == "zones=a 1..2 generation=7"
    assert len(compose(1.0, "reload", {"zones": "x" * 9000}).why) == 500


def test_only_what_is_an_event_is_kept_and_only_while_somebody_keeps() -> None:
    kept: list[Happening] = []
    with keeping(kept.append, lambda: 5.0):
        event("problem", text="nothing to keep")
        event("recovery", policy="web", why="x")
    event("recovery", policy="web", why="x")
    assert kept == [Happening(5.0, "recovery", "web", "", "", "x")]

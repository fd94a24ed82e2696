"""A question in text form, as people and the API ask it, put to a World.

Knows: how names, types and clients are written. Refuses to know: where the World is from.
Invariant: what is wrong with a question is a ValueError that says so in one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.core.explain import Explanation, Locate, explain
from gslb.core.subject import parse_subject
from gslb.core.world import World
from gslb.wire.name import from_text
from gslb.wire.rrtype import type_number

NOBODY = "127.0.0.1"  # who asks, if the question does not say


@dataclass(frozen=True, slots=True)
class Question:
    """`client` is an address or a network; None: an address of this machine."""

    name: str
    type: str
    client: str | None
    down: tuple[str, ...] = ()


def explain_question(world: World, question: Question, locate: Locate) -> Explanation:
    """The explanation of a question. Raises ValueError."""
    try:
        name = from_text(question.name).lower()
    except (ValueError, UnicodeError) as error:
        raise ValueError(f'"{question.name}" is not a domain name: {error}') from None
    rrtype = type_number(question.type)
    if rrtype is None:
        raise ValueError(f'"{question.type}" is not a record type; say A, AAAA or TYPE65280')
    try:
        subject = parse_subject(question.client or NOBODY)
    except ValueError:
        raise ValueError(
            f'"{question.client}" is not an address or network; say 81.2.69.160 or 81.2.69.0/24'
        ) from None
    return explain(world, name, rrtype, subject, question.down, locate)

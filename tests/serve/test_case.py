"""Every dialogue of tests/cases/, twice each: the careful way and the quick way agree."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from gslb.serve.python import PythonEngine

from dialogue import Exchange, compare, compose, read_case
from sample import make_world

CASES = sorted(Path(__file__).parent.parent.joinpath("cases").glob("*.case"))
EXCHANGES = [exchange for path in CASES for exchange in read_case(path)]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda e: e.title)
def test_the_reply_is_what_the_dialogue_says(exchange: Exchange) -> None:
    engine = PythonEngine(make_world(), Random(1))
    for _ in range(3):
        query = compose(exchange)
        reply = engine.answer(query.to_wire(), "150.7.7.7", exchange.transport)
        assert reply is not None
        compare(exchange, query, reply)
        assert len(reply) <= (exchange.size if exchange.edns else 512)

"""The sender sends what it says, and knows which queries were answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from bench.flood import RING, Stream, offer
from bench.overload import offered_too_little
from bench.question import garbage, query
from bench.world import STEERED

QUERY = query(STEERED)


@contextmanager
def answering(wanted: Callable[[int], bool]) -> Iterator[tuple[int, list[bytes]]]:
    """A port that returns those queries whose number is wanted; and all that it got."""
    got: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            for number in count():
                message, peer = server.recvfrom(65535)
                if not message:
                    return
                got.append(message)
                if wanted(number):
                    server.sendto(message, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], got
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", server.getsockname())
            thread.join()


def test_every_query_is_sent_with_its_number_and_its_answer_counted() -> None:
    with answering(lambda _: True) as (port, got):
        stream = Stream(port, [QUERY, QUERY + b"+"], 2000)
        offer([stream], 0.2)
        stream.close()
    assert 0 < stream.sent <= 400
    assert (stream.lost, stream.answered) == (0, stream.sent)
    assert got == [
        number.to_bytes(2, "big") + (QUERY, QUERY + b"+")[number % 2][2:]
        for number in range(stream.sent)
    ]
    assert len(stream.waits_s()) == stream.answered
    assert (stream.waits_s() >= 0).all()
    assert stream.settled_after_s(60) == 0.0


def test_a_query_without_an_answer_is_lost_and_its_time_known() -> None:
    with answering(lambda number: number > 50) as (port, _):
        stream = Stream(port, [QUERY], 1000)
        offer([stream], 0.2, linger_s=1.0)
        stream.close()
    assert stream.lost == 51
    assert 0.05 <= stream.settled_after_s(60) <= stream.seconds


def test_an_answer_that_takes_too_long_does_not_settle_a_query() -> None:
    with answering(lambda _: True) as (port, _):
        stream = Stream(port, [QUERY], 1000)
        offer([stream], 0.1)
        stream.close()
    assert stream.lost == 0
    assert stream.settled_after_s(0.0) > 0


def test_numbers_begin_anew_after_as_many_as_there_are_ids() -> None:
    with answering(lambda _: True) as (port, got):
        stream = Stream(port, [QUERY], 1e9)
        while stream.sent < RING + 100:
            stream.send_due(1.0)
            while stream.answered < stream.sent:
                stream.receive()
        stream.close()
    assert {message[:2] for message in got[RING:]} <= {message[:2] for message in got[:RING]}
    assert got[RING][:2] == b"\0\0"


def test_garbage_is_sent_as_it_is_but_for_its_number() -> None:
    messages = [message for message, _ in zip(garbage(), range(300), strict=False)]
    with answering(lambda _: False) as (port, got):
        stream = Stream(port, messages, 3000)
        offer([stream], 0.1, linger_s=0.0)
        stream.close()
    sent = messages[: len(got)]
    assert [message[2:] for message in got] == [message[2:] for message in sent]
    assert [len(message) for message in got] == [len(message) for message in sent]


@pytest.mark.parametrize(("sent", "enough"), [(949, False), (951, True)])
def test_a_load_that_could_not_be_offered_is_said(sent: int, enough: bool) -> None:
    with answering(lambda _: False) as (port, _):
        stream = Stream(port, [QUERY], 1000)
        stream.close()
    stream.sent, stream.seconds = sent, 1.0
    assert (offered_too_little(stream) == "") is enough

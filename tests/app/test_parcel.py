"""Handing values over in a file: parts first, the value last, nothing twice."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator

import pytest
from gslb.app.parcel import pack, unpack
from gslb.core.check import Target


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = os.memfd_create("parcel")
    yield descriptor
    os.close(descriptor)


def test_parts_come_before_the_value_and_are_the_same_objects(file: int) -> None:
    targets = tuple(Target("web", f"192.0.2.{n}", 80) for n in range(4))
    value = {"of": dict.fromkeys(targets, "up"), "starts": memoryview(array("I", (1, 2, 3)))}
    pack(value, file, (targets[:2], targets[2:]))
    *parts, got = unpack(file)
    assert parts == [targets[:2], targets[2:]]
    assert isinstance(got, dict)
    assert all(a is b for a, b in zip(got["of"], (*parts[0], *parts[1]), strict=True))
    assert got["of"] == value["of"]
    assert got["starts"].tolist() == [1, 2, 3]
    assert got["starts"].readonly


def test_a_value_without_parts_is_all_there_is(file: int) -> None:
    pack(("one", 2), file)
    assert list(unpack(file)) == [("one", 2)]

"""Noticing that a database was replaced."""

from __future__ import annotations

import os

import pytest
from gslb.geo.watch import Watch


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "city.mmdb"
    path.write_bytes(b"old")
    return path


def replace(path, content):
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)


def test_nothing_is_reported_while_nothing_changes(file):
    watch = Watch([str(file)])
    assert watch.look() == watch.look() == ()


def test_a_replaced_file_is_reported_once_and_when_it_has_kept_still(file):
    watch = Watch([str(file)])
    replace(file, b"new")
    assert watch.look() == ()
    assert watch.look() == (str(file),)
    assert watch.look() == watch.look() == ()


def test_a_file_that_is_still_being_written_waits(file):
    watch = Watch([str(file)])
    for size in range(4, 9):
        file.write_bytes(b"x" * size)
        assert watch.look() == ()
    assert watch.look() == (str(file),)


def test_a_file_that_has_gone_is_no_change_until_it_is_back(file):
    watch = Watch([str(file)])
    file.unlink()
    assert watch.look() == watch.look() == ()
    file.write_bytes(b"newer")
    assert watch.look() == ()
    assert watch.look() == (str(file),)


def test_a_file_that_was_missing_from_the_start_is_reported_when_it_comes(tmp_path):
    path = tmp_path / "late.mmdb"
    watch = Watch([str(path)])
    assert watch.look() == ()
    path.write_bytes(b"here")
    assert watch.look() == ()
    assert watch.look() == (str(path),)

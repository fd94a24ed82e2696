"""Fixtures of the geography tests."""

from __future__ import annotations

import pytest

from globe import Tree


@pytest.fixture
def tree() -> Tree:
    return Tree()

"""How a pool's share follows its load, and whom it leaves out (health.md, Load)."""

from __future__ import annotations

import hashlib
from random import Random

import pytest
from gslb.core.policy import Shed
from gslb.core.shed import MOST_POINTS, is_shed, next_share, target_share
from hypothesis import given
from hypothesis import strategies as st

SHED = Shed(0.7, 0.95)
SHEDS = st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)).map(
    lambda pair: Shed(pair[0], pair[0] + pair[1])
)
LOADS = st.floats(0, 300)


@pytest.mark.parametrize(
    ("load", "share"),
    [(0, 100), (0.7, 100), (0.75, 80), (0.825, 50), (0.95, 0), (7, 0), (float("inf"), 0)],
)
def test_the_share_falls_on_a_line_from_low_to_high(load, share) -> None:
    assert target_share(load, SHED) == share


def test_what_is_no_number_sheds_nothing() -> None:
    assert target_share(float("nan"), SHED) == 100


def test_overload_takes_ten_intervals_to_take_everything_away_and_as_many_to_give_it_back() -> None:
    share, seen = 100, []
    for load in [2.0] * 11 + [0.1] * 11:
        share = next_share(share, load, SHED)
        seen.append(share)
    assert seen == [*range(90, -1, -10), 0, *range(10, 101, 10), 100]


def test_without_a_report_it_rises() -> None:
    assert next_share(35, None, SHED) == 45
    assert next_share(95, None, SHED) == 100


@given(SHEDS, st.integers(0, 100), st.none() | LOADS)
def test_a_share_stays_within_its_bounds_and_moves_by_ten_points_at_most(shed, share, load) -> None:
    after = next_share(share, load, shed)
    assert 0 <= after <= 100
    assert abs(after - share) <= MOST_POINTS
    target = 100 if load is None else target_share(load, shed)
    assert abs(after - target) <= abs(share - target)


@given(SHEDS, st.integers(0, 100), LOADS)
def test_a_steady_load_is_followed_to_where_it_leads(shed, share, load) -> None:
    for _ in range(10):
        share = next_share(share, load, shed)
    assert share == target_share(load, shed)


@given(SHEDS, LOADS, LOADS)
def test_more_load_never_gives_a_larger_share(shed, one, other) -> None:
    less, more = sorted((one, other))
    assert target_share(more, shed) <= target_share(less, shed)


# ---- under sticky -------------------------------------------------------------------------

PREFIXES = st.binary(min_size=3, max_size=3) | st.binary(min_size=7, max_size=7)


def test_the_hash_is_the_same_on_every_server() -> None:
    """Golden: BLAKE2b-64 over (pool name, 0, family digit, prefix), in percent of 2^64."""
    for prefix, digit in ((b"\x0a\1\2", b"4"), (b"\x20\1\x0d\xb8\0\0\1", b"6")):
        digest = hashlib.blake2b(b"web-fra\0" + digit + prefix, digest_size=8).digest()
        percent = int.from_bytes(digest, "big") * 100 >> 64
        assert [is_shed("web-fra", share, prefix) for share in (percent, percent + 1)] == [
            True,
            False,
        ]
    golden = {0: 9, 1: 19, 2: 40, 3: 26}
    for last, percent in golden.items():
        prefix = bytes((10, 1, last))
        assert is_shed("web-fra", percent, prefix)
        assert not is_shed("web-fra", percent + 1, prefix)


@given(PREFIXES, st.integers(0, 100), st.integers(0, 100))
def test_whom_a_share_leaves_out_a_smaller_one_does_too(prefix, one, other) -> None:
    small, large = sorted((one, other))
    assert is_shed("a", small, prefix) >= is_shed("a", large, prefix)


@given(PREFIXES)
def test_all_are_served_at_100_and_none_at_0(prefix) -> None:
    assert not is_shed("a", 100, prefix)
    assert is_shed("a", 0, prefix)


def test_the_share_of_clients_is_the_share_and_pools_choose_independently() -> None:
    chance = Random(1)
    prefixes = [chance.randbytes(3) for _ in range(20_000)]
    kept = [[not is_shed(name, 30, prefix) for prefix in prefixes] for name in ("a", "b")]
    assert [sum(each) / 20_000 for each in kept] == [pytest.approx(0.3, abs=0.02)] * 2
    both = sum(one and other for one, other in zip(*kept, strict=True))
    assert both / 20_000 == pytest.approx(0.09, abs=0.01)

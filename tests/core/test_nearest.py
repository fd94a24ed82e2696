"""`nearest`, one client at a time."""

from __future__ import annotations

import math

import pytest
from gslb.core.client import NOWHERE, Location
from gslb.core.nearest import EARTH_RADIUS_M, biased, child_distance_m, distance_m, rank
from gslb.core.policy import Child, DataCenter, Endpoint, Failover, Nearest, Pool, PoolNode
from hypothesis import given
from hypothesis import strategies as st

places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))

FRA, IAD, NRT = (50.11, 8.68), (39.04, -77.49), (35.76, 140.39)
LONDON = Location(at=(51.5, -0.1))


def child(number: int, at: tuple[float, float] | None) -> Child:
    pool = Pool(number, f"p{number}", (Endpoint("e", b"\1\1\1\1", None),), DataCenter("d", at))
    return Child(pool.name, PoolNode(100 + number, pool))


def nearest(*at: tuple[float, float] | None, bias: dict[int, int] | None = None, km=0.0) -> Nearest:
    children = tuple(child(n, place) for n, place in enumerate(at))
    return Nearest(1, children, tuple((bias or {}).get(n, 0) for n in range(len(at))), km)


@pytest.mark.parametrize(
    ("a", "b", "metres"),
    [
        (FRA, FRA, 0),
        ((0, 0), (0, 180), round(math.pi * EARTH_RADIUS_M)),
        ((90, 0), (-90, 77), round(math.pi * EARTH_RADIUS_M)),
        ((0, 0), (0, 90), round(math.pi * EARTH_RADIUS_M / 2)),
        ((0, 179.9999), (0, -179.9999), 22),
        (FRA, IAD, 6_549_255),
        (FRA, NRT, 9_355_750),
    ],
)
def test_distances_are_those_of_the_sphere(a, b, metres):
    assert distance_m(a, b) == metres


@given(places, places)
def test_distance_is_the_haversine(a, b):
    (p, q), (r, s) = [tuple(map(math.radians, at)) for at in (a, b)]
    half = math.sin((r - p) / 2) ** 2 + math.cos(p) * math.cos(r) * math.sin((s - q) / 2) ** 2
    haversine = 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
    assert distance_m(a, b) == distance_m(b, a)
    assert abs(distance_m(a, b) - haversine) <= 1


def test_children_are_tried_by_distance():
    assert rank(nearest(NRT, IAD, FRA), LONDON) == (2, 1, 0)


def test_equal_distances_keep_the_configured_order():
    assert rank(nearest(FRA, IAD, FRA, IAD), LONDON) == (0, 2, 1, 3)


def test_a_client_without_coordinates_gets_the_configured_order():
    assert rank(nearest(NRT, None, FRA, km=1), NOWHERE) == (0, 1, 2)


def test_children_without_coordinates_come_last_in_configured_order():
    assert rank(nearest(None, NRT, None, FRA), LONDON) == (3, 1, 0, 2)


def test_bias_draws_clients_in_and_pushes_them_away():
    assert biased(1000, 50) == 500
    assert biased(1000, -50) == 2000
    assert rank(nearest(FRA, IAD, bias={1: 90}), LONDON) == (1, 0)
    assert rank(nearest(FRA, IAD, bias={0: -90}), LONDON) == (1, 0)


def test_max_km_drops_children_by_their_unbiased_distance():
    assert rank(nearest(NRT, IAD, FRA, km=1000), LONDON) == (2,)
    assert rank(nearest(NRT, IAD, FRA, bias={1: 99}, km=1000), LONDON) == (2,)
    assert rank(nearest(NRT, IAD, km=1000), LONDON) == ()


def test_a_childs_distance_is_that_of_the_nearest_data_center_below_it():
    far_and_near = Child("both", Failover(50, (child(0, NRT), child(1, FRA))))
    node = Nearest(1, (child(2, IAD), far_and_near), (0, 0))
    assert rank(node, LONDON) == (1, 0)
    assert child_distance_m(far_and_near.node, LONDON.at) == distance_m(FRA, LONDON.at)
    assert child_distance_m(child(3, None).node, LONDON.at) is None


def test_from_the_fifth_child_on_the_order_is_by_distance_from_the_first():
    # All on the equator, the client between 0 and 1: four by its own distance (0, 1, 2, 3),
    # then those nearer to child 0, which is 10 degrees west of the client.
    node = nearest((0, -10), (0, 11), (0, 20), (0, 30), (0, 42), (0, -45))
    assert rank(node, Location(at=(0, 0))) == (0, 1, 2, 3, 5, 4)

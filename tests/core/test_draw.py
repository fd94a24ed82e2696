"""What is left to chance: weights converge, sticky moves only its own, slots are dealt."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from gslb.core.decide import Choice, Offer
from gslb.core.draw import Fixed, draw, in_turn, rendezvous, sample, support, variants
from gslb.serve.ready import EngineDice
from hypothesis import given
from hypothesis import strategies as st

from sample import POOLS, endpoint, pool

FRA = Offer(1, POOLS[0], ((0, 1), (1, 1)))
IAD = Offer(2, POOLS[1], ((0, 1),))
NRT = Offer(3, POOLS[2], ((0, 1),))


def choice(kind, *branches, weights=None, take=1, policy="p") -> Choice:
    names = tuple(f"c{n}" for n in range(len(branches)))
    return Choice(9, kind, names, weights or (1,) * len(branches), branches, take, policy)


def dice(seed: int = 1) -> EngineDice:
    return EngineDice(Random(seed))


def test_weights_converge() -> None:
    node = choice("weighted", IAD, NRT, weights=(3, 1))
    rolls, counts = dice(), Counter()
    for _ in range(8000):
        counts[draw(node, 4, 4, 1, rolls)[0][0]] += 1
    assert counts[1] / 8000 == pytest.approx(0.75, abs=0.03)


def test_every_first_position_has_the_share_of_its_weight() -> None:
    uneven = Offer(
        1, pool(0, "w", endpoint("192.0.2.1", weight=3), endpoint("192.0.2.2")), ((0, 3), (1, 1))
    )
    rolls = dice()
    firsts = Counter(draw(uneven, 4, 4, 1, rolls)[0][1] for _ in range(8000))
    assert firsts[0] / 8000 == pytest.approx(0.75, abs=0.03)


def test_records_are_distinct_and_at_most_answers() -> None:
    for answers in (0, 1, 2, 4):
        picks = draw(FRA, 4, answers, 1, dice())
        assert len(set(picks)) == len(picks) == min(answers or 9, 2)


def test_round_robin_takes_turns_per_family() -> None:
    node, rolls = choice("round_robin", FRA, IAD, NRT), dice()
    turns = [draw(node, 4, 1, 1, rolls)[0][0] for _ in range(5)]
    assert turns == [0, 1, 2, 0, 1]
    assert draw(node, 6, 1, 1, rolls)[0][0] == 0


def test_a_pool_that_rotates_does_so_by_one() -> None:
    three = pool(0, "t", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3)), pick="round_robin")
    offer, rolls = Offer(5, three, ((0, 1), (1, 1), (2, 1))), dice()
    assert [[i for _, i in draw(offer, 4, 0, 1, rolls)] for _ in range(3)] == [
        [0, 1, 2],
        [1, 2, 0],
        [2, 0, 1],
    ]


def test_slots_are_dealt_one_per_child_and_records_stay_together() -> None:
    node = choice("ordered", FRA, IAD, take=2)
    picks = draw(node, 4, 4, 2, dice())
    assert [p for p, _ in picks] == [0, 0, 1]
    assert [p for p, _ in draw(node, 4, 2, 2, dice())] == [0, 1]


def test_fewer_answers_than_take_use_the_first_children() -> None:
    node = choice("ordered", IAD, NRT, take=2)
    assert draw(node, 4, 1, 2, dice()) == ((1, 0),)


def test_a_child_with_fewer_records_leaves_its_slots_to_the_others() -> None:
    three = pool(0, "t", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3)))
    node = choice("ordered", IAD, Offer(5, three, ((0, 1), (1, 1), (2, 1))), NRT, take=3)
    assert [p for p, _ in draw(node, 4, 4, 3, dice())] == [1, 0, 0, 2]
    assert [p for p, _ in draw(node, 4, 0, 3, dice())] == [1, 0, 0, 0, 2]


def test_children_that_lead_to_one_pool_fill_the_answer_without_a_double() -> None:
    node = choice("ordered", FRA, FRA, IAD, take=3)
    for seed in range(20):
        picks = draw(node, 4, 3, 3, dice(seed))
        assert len(set(picks)) == len(picks) == 3


def test_one_address_in_two_pools_is_one_record() -> None:
    here, there = (
        Offer(n, pool(n, f"p{n}", endpoint("192.0.2.1"), endpoint(f"192.0.2.{n}")), offered)
        for n, offered in ((7, ((0, 1),)), (8, ((0, 1), (1, 1))))
    )
    node = choice("ordered", here, there, take=2)
    for seed in range(20):
        assert draw(node, 4, 4, 2, dice(seed)) == ((7, 0), (8, 1))


def test_take_of_turns_are_the_next_ones_in_turn() -> None:
    node, rolls = choice("round_robin", FRA, IAD, NRT, take=2), dice()
    turns = [[p for p, _ in draw(node, 4, 2, 2, rolls)] for _ in range(4)]
    assert turns == [[0, 1], [1, 2], [2, 0], [0, 1]]


def test_a_client_has_the_same_child_for_both_families() -> None:
    node, rolls = choice("sticky", FRA, IAD, NRT), dice()
    for prefix in PREFIXES[:200]:
        rolls.prefix = prefix
        assert draw(node, 4, 1, 1, rolls)[0][0] == draw(node, 6, 1, 1, rolls)[0][0]


def test_a_sticky_pick_takes_from_its_order_what_the_answer_holds() -> None:
    three = pool(0, "t", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3)), pick="sticky")
    offer, rolls = Offer(5, three, ((0, 1), (1, 1), (2, 1))), dice()
    rolls.prefix = b"\x0a\x00\x01"
    whole = draw(offer, 4, 0, 1, rolls)
    assert len(whole) == 3
    assert draw(offer, 4, 2, 1, rolls) == whole[:2]
    assert [i for _, i in whole] == rendezvous(
        "t", rolls.prefix, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], [1, 1, 1]
    )


def test_standby_alone_is_drawn_in_equal_parts() -> None:
    firsts = Counter(sample((0, 0), 1, rolls)[0] for rolls in [dice()] for _ in range(4000))
    assert firsts[0] / 4000 == pytest.approx(0.5, abs=0.05)
    hashed = Counter(rendezvous("p", prefix, ["a", "b"], [0, 0])[0] for prefix in PREFIXES)
    assert hashed[0] / len(PREFIXES) == pytest.approx(0.5, abs=0.05)


def test_weight_zero_comes_after_all_others() -> None:
    rolls = dice()
    for _ in range(50):
        order = sample((0, 2, 0, 5), 4, rolls)
        assert set(order[:2]) == {1, 3}
        assert order[2:] == [0, 2]


# Golden values: servers of any version must agree on them (steering.md, sticky).
GOLDEN = [
    ("web", "c63364", [1, 1, 1], [1, 0, 2]),
    ("web", "0a0000", [1, 1, 1], [1, 0, 2]),
    ("web", "20010db8000100", [1, 1, 1], [0, 1, 2]),
    ("web", "c63364", [150, 1, 0], [0, 1, 2]),
    ("web", "c63364", [5, 1, 0], [1, 0, 2]),
]


@pytest.mark.parametrize(("salt", "prefix", "weights", "order"), GOLDEN)
def test_rendezvous_has_golden_values(salt, prefix, weights, order) -> None:
    assert rendezvous(salt, bytes.fromhex(prefix), ["a", "b", "c"], weights) == order


PREFIXES = [bytes((10, n >> 8, n & 255)) for n in range(2000)]


def test_rendezvous_is_the_formula_of_the_manual() -> None:
    names, weights = ["a", "b", "c"], [3, 1, 2]
    for prefix, digit in ((b"\xc6\x33\x64", b"4"), (bytes.fromhex("20010db8000100"), b"6")):
        scores = {}
        for name, weight in zip(names, weights, strict=True):
            hashed = hashlib.blake2b(
                b"web\0" + digit + prefix + b"\0" + name.encode(), digest_size=8
            )
            h = int.from_bytes(hashed.digest(), "big")
            scores[name] = -weight / math.log((h + 1) / (2**64 + 1))
        best = sorted(names, key=lambda name: -scores[name])
        assert [names[n] for n in rendezvous("web", prefix, names, weights)] == best


def test_rendezvous_shares_follow_weights() -> None:
    firsts = Counter(rendezvous("p", prefix, ["a", "b"], [3, 1])[0] for prefix in PREFIXES)
    assert firsts[0] / len(PREFIXES) == pytest.approx(0.75, abs=0.05)


@given(st.sampled_from(PREFIXES), st.integers(0, 3))
def test_removing_a_child_moves_only_its_own_clients(prefix: bytes, gone: int) -> None:
    names = ["a", "b", "c", "d"]
    before = names[rendezvous("p", prefix, names, [1] * 4)[0]]
    rest = [name for number, name in enumerate(names) if number != gone]
    after = rest[rendezvous("p", prefix, rest, [1] * 3)[0]]
    assert after == before or before == names[gone]


def test_variants_are_all_draws_with_their_probability() -> None:
    node = choice("weighted", FRA, IAD, weights=(1, 3))
    found = variants(node, 4, 24)
    assert found is not None
    assert {v.picks: round(v.probability, 6) for v in found} == {
        ((0, 0), (0, 1)): 0.125,
        ((0, 1), (0, 0)): 0.125,
        ((1, 0),): 0.75,
    }


def test_too_many_variants_are_not_listed() -> None:
    wide = pool(0, "wide", *(endpoint(f"192.0.2.{n}") for n in range(1, 8)))
    assert variants(Offer(1, wide, tuple((n, 1) for n in range(7))), 0, 24) is None


def test_turns_and_hashes_have_no_variants() -> None:
    assert variants(choice("round_robin", FRA, IAD), 4, 24) is None
    assert variants(choice("sticky", FRA, IAD), 4, 24) is None


@given(
    st.sampled_from(["weighted", "round_robin", "sticky", "ordered"]),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_every_draw_lies_in_the_support(kind: str, answers: int, take: int, seed: int) -> None:
    node = choice(kind, FRA, IAD, NRT, weights=(2, 1, 1), take=take)
    rolls = dice(seed)
    rolls.prefix = b"\x0a\x00\x01"
    reachable = support(node, 4, answers, take, rolls.prefix)
    for _ in range(5):
        assert set(draw(node, 4, answers, take, rolls)) <= reachable


def test_fixed_dice_always_fall_alike() -> None:
    node = choice("weighted", FRA, IAD)
    assert len({draw(node, 4, 4, 1, Fixed(b"")) for _ in range(5)}) == 1


# ---- ramps --------------------------------------------------------------------------------

THREE = pool(7, "three", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3)), pick="round_robin")


def test_under_round_robin_one_that_ramps_lets_its_share_of_turns_go_by() -> None:
    offer = Offer(1, THREE, ((0, 40), (1, 100), (2, 100)), (40, 100, 100))
    rolls = dice()
    picks = [draw(offer, 4, 0, 1, rolls) for _ in range(300)]
    firsts = Counter(each[0][1] for each in picks)
    assert firsts[0] == 40
    assert abs(firsts[1] - firsts[2]) <= 1
    assert all(sorted(index for _, index in each) == [0, 1, 2] for each in picks)


@given(
    st.lists(st.sampled_from([10, 15, 40, 95, 100]), min_size=1, max_size=5),
    st.integers(0, 10_000),
)
def test_turns_are_taken_in_proportion_to_the_ramps(ramps, start) -> None:
    size, most = len(ramps), max(ramps)
    laps = 100
    turns = Counter(in_turn(start * size + n, size, ramps) for n in range(laps * size))
    for number, ramp in enumerate(ramps):
        share = ramp * 100 // most
        if ramp < most:
            assert turns[number] == share
        else:
            assert turns[number] >= laps
    assert sum(turns.values()) == laps * size


def test_without_ramps_turns_are_as_they_were() -> None:
    assert [in_turn(n, 3) for n in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert [in_turn(n, 3, (40, 40, 40)) for n in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_under_sticky_a_ramp_draws_clients_in_one_by_one() -> None:
    sticky = replace(THREE, pick="sticky")
    prefixes = [bytes((10, a, b)) for a in range(8) for b in range(256)]

    def homes(percent: int) -> list[int]:
        offer = Offer(1, sticky, ((0, percent), (1, 100), (2, 100)), (percent, 100, 100))
        return [draw(offer, 4, 1, 1, Fixed(prefix))[0][1] for prefix in prefixes]

    at = {percent: homes(percent) for percent in (10, 40, 100)}
    for low, high in ((10, 40), (40, 100)):
        moved = [(a, b) for a, b in zip(at[low], at[high], strict=True) if a != b]
        assert moved
        assert {b for _, b in moved} == {0}
    assert at[10].count(0) / len(prefixes) == pytest.approx(10 / 210, abs=0.02)
    plain = Offer(1, sticky, ((0, 1), (1, 1), (2, 1)))
    whole = [draw(plain, 4, 1, 1, Fixed(prefix))[0][1] for prefix in prefixes]
    assert at[100] == whole  # the end of a ramp moves nobody


def test_a_ramp_is_the_share_of_first_positions() -> None:
    weighted = replace(THREE, pick="weighted")
    offer = Offer(1, weighted, ((0, 10), (1, 100), (2, 100)), (10, 100, 100))
    found = variants(offer, 1, 24)
    assert found is not None
    assert {v.picks[0][1]: v.probability for v in found} == pytest.approx(
        {0: 10 / 210, 1: 100 / 210, 2: 100 / 210}
    )

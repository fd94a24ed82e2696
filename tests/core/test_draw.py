"""What is left to chance: weights converge, sticky moves only its own, slots are dealt."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from gslb.core.decide import Choice, Offer
from gslb.core.draw import Fixed, draw, rendezvous, sample, support, variants
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


def test_weight_zero_comes_after_all_others() -> None:
    rolls = dice()
    for _ in range(50):
        order = sample((0, 2, 0, 5), 4, rolls)
        assert set(order[:2]) == {1, 3}
        assert order[2:] == [0, 2]


# Golden values: servers of any version must agree on them (steering.md, sticky).
GOLDEN = [
    ("web", 4, "c63364", [1, 1, 1], [1, 0, 2]),
    ("web", 4, "0a0000", [1, 1, 1], [1, 0, 2]),
    ("web", 6, "20010db8000100", [1, 1, 1], [0, 1, 2]),
    ("web", 4, "c63364", [150, 1, 0], [0, 1, 2]),
    ("web", 4, "c63364", [5, 1, 0], [1, 0, 2]),
]


@pytest.mark.parametrize(("salt", "family", "prefix", "weights", "order"), GOLDEN)
def test_rendezvous_has_golden_values(salt, family, prefix, weights, order) -> None:
    assert rendezvous(salt, family, bytes.fromhex(prefix), ["a", "b", "c"], weights) == order


PREFIXES = [bytes((10, n >> 8, n & 255)) for n in range(2000)]


def test_rendezvous_shares_follow_weights() -> None:
    firsts = Counter(rendezvous("p", 4, prefix, ["a", "b"], [3, 1])[0] for prefix in PREFIXES)
    assert firsts[0] / len(PREFIXES) == pytest.approx(0.75, abs=0.05)


@given(st.sampled_from(PREFIXES), st.integers(0, 3))
def test_removing_a_child_moves_only_its_own_clients(prefix: bytes, gone: int) -> None:
    names = ["a", "b", "c", "d"]
    before = names[rendezvous("p", 4, prefix, names, [1] * 4)[0]]
    rest = [name for number, name in enumerate(names) if number != gone]
    after = rest[rendezvous("p", 4, prefix, rest, [1] * 3)[0]]
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

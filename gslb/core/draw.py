"""Settling what a decision leaves to chance: weights, turns, hashes, the slots of a reply.

Knows: sampling in proportion, rotation, weighted rendezvous hashing, `answers` and `take`
(steering.md). Refuses to know: where randomness, counters and prefixes come from; they are
a Dice. Invariant: distinct endpoints only, each child's records together, better child
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import log
from typing import Protocol

from gslb.core.decide import Branch, Choice, Offer
from gslb.core.policy import Family, Pool

Picked = tuple[int, int]  # index of a pool in the plan, index of an endpoint in it
Picks = tuple[Picked, ...]

IPV6_PREFIX = 7  # octets of a /56; of a /24 there are 3

_ALL = 1 << 30


class Dice(Protocol):
    """What a draw takes from outside; `prefix` is the client's /24 or /56: 3 or 7 octets."""

    @property
    def prefix(self) -> bytes:
        """The client's prefix."""

    def random(self) -> float:
        """A number in 0 <= x < 1."""

    def turn(self, node: int, family: Family) -> int:
        """How often this was asked before for the node and family."""


def draw(branch: Branch, family: Family, answers: int, take: int, dice: Dice) -> Picks:
    """The endpoints of one reply, in their order; `answers` 0 means no limit."""
    limit = answers or _ALL
    children = [branch]
    if isinstance(branch, Choice) and branch.take > 1:
        children = _choose(branch, family, min(take, limit), dice)
    offers = [_settle(child, family, dice) for child in children]
    drawn = [(offer.pool, _pick(offer, family, limit, dice)) for offer in offers]
    if len(drawn) > 1:
        return _deal(drawn, family, limit)
    return tuple((pool.index, index) for pool, indexes in drawn for index in indexes)


def _settle(branch: Branch, family: Family, dice: Dice) -> Offer:
    while isinstance(branch, Choice):
        branch = _choose(branch, family, 1, dice)[0]
    return branch


def _deal(drawn: list[tuple[Pool, Sequence[int]]], family: Family, limit: int) -> Picks:
    """Slots are dealt one per child in turn; then each child's records stay together.

    Two children may lead to one pool, and two pools have one address: a record is dealt once.
    """
    hands: list[list[Picked]] = [[] for _ in drawn]
    decks = [iter(indexes) for _, indexes in drawn]
    dealt: set[bytes | None] = set()
    playing = list(range(len(drawn)))
    while playing and len(dealt) < limit:
        for number in tuple(playing):
            pool = drawn[number][0]
            new = (n for n in decks[number] if pool.endpoints[n].address(family) not in dealt)
            index = next(new, None)
            if index is None:
                playing.remove(number)
            elif len(dealt) < limit:
                dealt.add(pool.endpoints[index].address(family))
                hands[number].append((pool.index, index))
    return tuple(picked for hand in hands for picked in hand)


def _choose(choice: Choice, family: Family, count: int, dice: Dice) -> list[Branch]:
    numbers: Sequence[int]
    match choice.kind:
        case "ordered":
            numbers = range(len(choice.branches))
        case "weighted":
            numbers = sample(choice.weights, count, dice)
        case "round_robin":
            size = len(choice.branches)
            first = dice.turn(choice.id, family)
            numbers = [(first + step) % size for step in range(min(count, size))]
        case "sticky":
            numbers = rendezvous(choice.policy, dice.prefix, choice.names, choice.weights)
    return [choice.branches[number] for number in numbers[:count]]


def _pick(offer: Offer, family: Family, limit: int, dice: Dice) -> Sequence[int]:
    """The endpoints of a pool by its `pick`."""
    indexes = [index for index, _ in offer.offered]
    weights = [weight for _, weight in offer.offered]
    if len(indexes) == 1:
        return indexes
    match offer.pool.pick:
        case "weighted":
            return [indexes[n] for n in sample(weights, limit, dice)]
        case "round_robin":
            first = in_turn(dice.turn(offer.id, family), len(indexes), offer.ramps)
            return (indexes[first:] + indexes[:first])[:limit]
        case "sticky":
            names = [offer.pool.endpoints[index].name for index in indexes]
            order = rendezvous(offer.pool.name, dice.prefix, names, weights)
            return [indexes[n] for n in order[:limit]]


def in_turn(turn: int, count: int, ramps: Sequence[int] = ()) -> int:
    """The position whose turn it is among `count`.

    One that ramps lets that share of its turns go by, evenly; those that have the most of their
    weight take them over, in turn. `ramps` are percentages of the positions, or empty.
    """
    lap, position = divmod(turn, count)
    most = max(ramps, default=0)
    if not ramps or ramps[position] == most:
        return position
    share = ramps[position] * 100 // most
    if lap * share % 100 < share:
        return position
    whole = [number for number, ramp in enumerate(ramps) if ramp == most]
    return whole[lap % len(whole)]


def sample(weights: Sequence[int], count: int, dice: Dice) -> list[int]:
    """Positions sampled without replacement in proportion to weight; the order is the draw's.

    Positions of weight 0 come after all others, in their order. With all weights 0 they are
    taken as equal.
    """
    live = {number: weight for number, weight in enumerate(weights) if weight > 0}
    if not live:
        live = dict.fromkeys(range(len(weights)), 1)
    spare = [number for number in range(len(weights)) if number not in live]
    chosen: list[int] = []
    total = sum(live.values())
    while live and len(chosen) < count:
        point = dice.random() * total
        number = next(iter(live))
        for number, weight in live.items():  # noqa: B007 - the last one stands for rounding
            point -= weight
            if point < 0:
                break
        total -= live.pop(number)
        chosen.append(number)
    return chosen + spare[: count - len(chosen)]


def rendezvous(salt: str, prefix: bytes, names: Sequence[str], weights: Sequence[int]) -> list[int]:
    """Positions from best to worst by weighted rendezvous hashing (steering.md, sticky).

    h = BLAKE2b-64 over (salt, 0, family digit, prefix, 0, name); score = -w / ln((h+1)/(2^64+1)).
    The digit is the client's family, not the question's: the same client, the same child,
    whether it asks for A or AAAA. Weight 0 scores 0; all weights 0 are taken as equal. Source:
    Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005). Equal scores:
    configured order.
    """
    head = salt.encode() + b"\0" + prefix_digit(prefix) + prefix + b"\0"
    equal = not any(weights)
    scores: list[float] = []
    for name, weight in zip(names, weights, strict=True):
        digest = blake2b(head + name.encode(), digest_size=8).digest()
        share = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
        scores.append(-(1 if equal else weight) / log(share) if share < 1.0 else float("inf"))
    return sorted(range(len(names)), key=lambda number: -scores[number])


def prefix_digit(prefix: bytes) -> bytes:
    """The digit of a client's family in what is hashed."""
    return b"4" if len(prefix) < IPV6_PREFIX else b"6"


@dataclass(frozen=True, slots=True)
class Variant:
    """One possible draw and its probability."""

    probability: float
    picks: Picks


def variants(branch: Branch, answers: int, most: int) -> list[Variant] | None:
    """Every possible draw with its probability, or None if there are more than `most`.

    None as well where a draw is not a matter of chance alone (turns, hashes, `take`).
    """
    if isinstance(branch, Choice):
        if branch.kind != "weighted" or branch.take > 1:
            return None
        live = branch.weights if any(branch.weights) else (1,) * len(branch.weights)
        total = sum(live)
        found: list[Variant] = []
        for weight, child in zip(live, branch.branches, strict=True):
            below = variants(child, answers, most - len(found)) if weight else []
            if below is None:
                return None
            found += [Variant(v.probability * weight / total, v.picks) for v in below]
        return found
    if len(branch.offered) > 1 and branch.pool.pick != "weighted":
        return None
    limit = min(answers or _ALL, len(branch.offered))
    count = 1
    for step in range(limit):
        count *= len(branch.offered) - step
        if count > most:
            return None
    return [
        Variant(probability, tuple((branch.pool.index, index) for index in order))
        for probability, order in _orders(branch.offered, limit)
    ]


def _orders(offered: Sequence[tuple[int, int]], limit: int) -> list[tuple[float, tuple[int, ...]]]:
    """(probability, order) of all samples of `limit` without replacement."""
    if limit == 0:
        return [(1.0, ())]
    total = sum(weight for _, weight in offered)
    found: list[tuple[float, tuple[int, ...]]] = []
    for position, (index, weight) in enumerate(offered):
        rest = (*offered[:position], *offered[position + 1 :])
        for probability, order in _orders(rest, limit - 1):
            found.append((probability * weight / total, (index, *order)))
    return found


def support(
    branch: Branch, family: Family, answers: int, take: int, prefix: bytes
) -> frozenset[Picked]:
    """Every (pool index, endpoint index) that some draw can give this client."""
    if isinstance(branch, Offer):
        indexes: Sequence[int] = [index for index, _ in branch.offered]
        if branch.pool.pick == "sticky":
            indexes = _pick(branch, family, answers or _ALL, Fixed(prefix))
        return frozenset((branch.pool.index, index) for index in indexes)
    reach = min(branch.take, take, answers or _ALL)
    children: Sequence[Branch] = branch.branches
    if branch.kind in ("sticky", "ordered"):
        children = _choose(branch, family, reach, Fixed(prefix))
    elif any(branch.weights):
        live = [c for c, w in zip(branch.branches, branch.weights, strict=True) if w]
        children = branch.branches if reach > len(live) else live
    result: frozenset[Picked] = frozenset()
    for child in children:
        result |= support(child, family, answers, 1, prefix)
    return result


@dataclass(frozen=True, slots=True)
class Fixed:
    """Dice that always fall alike: for what has to be the same every time it is asked."""

    prefix: bytes

    def random(self) -> float:
        """Always 0."""
        return 0.0

    def turn(self, node: int, family: Family) -> int:
        """Always 0."""
        return 0

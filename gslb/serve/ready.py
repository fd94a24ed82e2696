"""Ready answers of steered names: per policy and treatment, as bytes that fit any name.

Knows: how an Outcome becomes octets, when what was remembered is stale, and what is drawn
before an answer while pools shed load. Refuses to know: packets, zones, sockets. Invariant:
the octets name their owner by a pointer to the question, so one Ready serves every name with
the same policy, TTL and family, and a verdict throws away only what had read the pool it
touched. Where no pool sheds, nothing is paid for shedding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from gslb.core.decide import Outcome, Rule, answer_ttl, evaluate
from gslb.core.draw import Picks, draw, variants
from gslb.core.health import Health, standing
from gslb.core.policy import Family, Policy, Pool, is_sticky, pools_below
from gslb.core.ramp import FULL
from gslb.core.shed import is_shed
from gslb.core.table import PolicyTable, Treatment
from gslb.wire.message import RD
from gslb.wire.reply import Body, compose_head, compose_record, reply_flags
from gslb.wire.rrtype import AAAA, NOERROR, A

MOST_VARIANTS: Final = 24
MOST_PACKED: Final = 64
MOST_SHED: Final = 32  # combinations of shedding pools that are remembered of a treatment

Cell = list[int]  # one counter
Tell = Callable[[str, Family, str], None]


class EngineDice:
    """The dice of the serving engine: a generator, turn counters, the prefix of the client."""

    def __init__(self, generator: Random) -> None:
        self.random = generator.random
        self.prefix = b""
        self._turns: dict[tuple[int, Family], int] = {}

    def turn(self, node: int, family: Family) -> int:
        """How often this was asked before for the node and family."""
        count = self._turns.get((node, family), 0)
        self._turns[node, family] = count + 1
        return count

    def forget(self) -> None:
        """A new plan has new nodes."""
        self._turns.clear()


@dataclass(slots=True, eq=False)
class Packed:
    """Octets of an answer section. `heads` by rd + 2 * opt: the header after the id.

    `cells` are the counters that one such answer adds to.
    """

    heads: tuple[bytes, bytes, bytes, bytes]
    body: Body
    authoritative: bool
    cells: tuple[Cell, ...]


def pack(body: Body, rcode: int, authoritative: bool, cells: tuple[Cell, ...]) -> Packed:
    """A Packed with its four heads."""
    plain = reply_flags(0, rcode, authoritative)
    wished = reply_flags(RD, rcode, authoritative)
    return Packed(
        (
            compose_head(plain, body, False),
            compose_head(wished, body, False),
            compose_head(plain, body, True),
            compose_head(wished, body, True),
        ),
        body,
        authoritative,
        cells,
    )


@dataclass(slots=True, eq=False)
class Ready:
    """What is remembered of one treatment.

    Exactly one of four: `fixed`; `choices` with their `bounds` (cumulative probability);
    `shedding`, which leads to another Ready; or none of them, then it is drawn for each query
    and `drawn` keeps what was drawn before. `outcome.branch` None means no records. `mark` is of
    the Health for which it was last known to be good.
    """

    mark: object
    versions: tuple[tuple[int, int], ...]
    outcome: Outcome
    ttl: int
    fixed: Packed | None = None
    choices: Sequence[Packed] = ()
    bounds: Sequence[float] = ()
    drawn: dict[Picks, Packed] = field(default_factory=dict)
    shedding: Shedding | None = None

    def current(self, health: Health) -> bool:
        """True if nothing that was read has changed; then it counts as seen."""
        pools = health.pools
        if any(pools[index].version != version for index, version in self.versions):
            return False
        self.mark = health.mark
        return True


@dataclass(slots=True, eq=False)
class Shedding:
    """Pools of which a draw decides for each answer whether their load lets them have it.

    A pool is drawn when the decision comes to it: `drawn` are those on the way here, `shed` those
    of them that are not available, `coming` the next ones. `after`: what follows, by the indexes
    of the coming ones that are shed. `room` is how many more the treatment may remember.
    """

    treatment: Treatment
    drawn: frozenset[int]
    shed: frozenset[int]
    coming: tuple[Pool, ...]
    room: Cell
    after: dict[tuple[int, ...], Ready] = field(default_factory=dict)


def _count_below(ready: Ready) -> int:
    """How many are remembered that only this one leads to."""
    after = ready.shedding.after.values() if ready.shedding is not None else ()
    return sum(1 + _count_below(each) for each in after)


class Ledger:
    """Counters, and who is told when a policy falls back to its last resort or recovers.

    One counter per (metric, label values …), created when first used; names come from files.
    `tell(policy, family, rule)` has an empty rule for a recovery.
    """

    def __init__(self, tell: Tell) -> None:
        self.cells: dict[tuple[str, ...], Cell] = {}
        self.tell = tell

    def cell(self, *key: str) -> Cell:
        """The counter of a key."""
        return self.cells.setdefault(key, [0])


class Steering:
    """Answers of one (policy, TTL, family) by treatment number, evaluated when first asked."""

    def __init__(
        self,
        policy: Policy,
        table: PolicyTable,
        pools: Sequence[Pool],
        ttl: int,
        family: Family,
        ledger: Ledger,
    ) -> None:
        self.policy, self.table, self.pools = policy, table, pools
        self.ttl, self.family, self.ledger = ttl, family, ledger
        # The same as table.leaf(4, …), without its choices where there are none.
        plain = table.mapping is None and not table.least[0]
        self.leaf4 = table.ipv4.leaf if plain else partial(table.leaf, 4)
        self.answers: dict[int, Ready] = {}
        self._fallen: dict[Rule, set[int]] = {}  # treatments that are at a last resort
        self._loaded = [pool for pool in pools_below(policy.node) if pool.shed is not None]
        self._sticky = bool(self._loaded) and is_sticky(policy.node)

    def ready(self, number: int, health: Health) -> Ready:
        """The remembered answer for a treatment, made anew if its pools have changed."""
        known = self.answers.get(number)
        if known is not None and (known.mark is health.mark or known.current(health)):
            return known
        treatment = self.table.treatments[number]
        nothing: frozenset[int] = frozenset()
        ready = self._make(Shedding(treatment, nothing, nothing, (), [MOST_SHED]), health)
        self.answers[number] = ready
        self._note(number, ready.outcome, health)
        return ready

    def _make(self, way: Shedding, health: Health) -> Ready:
        """What is answered where the draws on the way fell as they did."""
        outcome = evaluate(self.policy, way.treatment, self.family, health, None, way.shed)
        ttl, _ = answer_ttl(self.policy, self.ttl, outcome)
        versions = tuple((index, health.pools[index].version) for index in outcome.read)
        ready = Ready(health.mark, versions, outcome, ttl)
        if outcome.branch is None:
            return ready
        if self._loaded and (coming := self._coming(outcome, way.drawn, health)):
            ready.shedding = Shedding(way.treatment, way.drawn, way.shed, coming, way.room)
        else:
            self._fill(ready)
        return ready

    def _fill(self, ready: Ready) -> None:
        """Makes the octets of a decision, unless a draw is left that has too many ways to fall."""
        assert ready.outcome.branch is not None, "the caller has seen that there are records"
        found = variants(ready.outcome.branch, self.policy.answers, MOST_VARIANTS)
        if found is not None and len(found) == 1:
            ready.fixed = self.pack(ready, found[0].picks)
        elif found is not None:
            ready.choices = [self.pack(ready, variant.picks) for variant in found]
            total, bounds = 0.0, []
            for variant in found:
                total += variant.probability
                bounds.append(total)
            ready.bounds = bounds[:-1]  # whatever rounding left belongs to the last

    def _coming(self, outcome: Outcome, drawn: frozenset[int], health: Health) -> tuple[Pool, ...]:
        """The pools whose load may change this decision.

        Those that were not looked at cannot, nor those that are unavailable anyway. At a last
        resort, or after shedding left nothing, nothing is shed.
        """
        if outcome.rule or outcome.again:
            return ()
        return tuple(
            pool
            for pool in self._loaded
            if pool.index in outcome.read
            and pool.index not in drawn
            and health.pools[pool.index].share < FULL
            and standing(pool, health.pools[pool.index], self.family, 1).available
        )

    def _after(self, ready: Ready, health: Health, dice: EngineDice) -> Ready:
        """Where the draws of one answer lead."""
        while (way := ready.shedding) is not None:
            shed = tuple(pool.index for pool in way.coming if self._sheds(pool, health, dice))
            known = way.after.get(shed)
            if known is None or not (known.mark is health.mark or known.current(health)):
                drawn = way.drawn.union(pool.index for pool in way.coming)
                below = Shedding(way.treatment, drawn, way.shed.union(shed), (), way.room)
                if (stale := way.after.pop(shed, None)) is not None:
                    way.room[0] += 1 + _count_below(stale)
                known = self._make(below, health)
                if way.room[0]:
                    way.room[0] -= 1
                    way.after[shed] = known
            ready = known
        return ready

    def _sheds(self, pool: Pool, health: Health, dice: EngineDice) -> bool:
        """True if the pool's load keeps it from this answer."""
        share = health.pools[pool.index].share
        if self._sticky:
            return is_shed(pool.name, share, dice.prefix)
        return dice.random() * FULL >= share

    def _note(self, number: int, outcome: Outcome, health: Health) -> None:
        """The first fallback to each last resort and the last recovery are told.

        Where no child is in a client's reach (`max_km`) nothing has fallen, and nothing recovers.
        """
        rule = outcome.rule if outcome.read and outcome.rule != "any" else ""
        told = {rule for rule, numbers in self._fallen.items() if numbers}
        was = [numbers for numbers in self._fallen.values() if number in numbers]
        for numbers in was:
            numbers.discard(number)
        if rule:
            self._fallen.setdefault(rule, set()).add(number)
        elif was:
            # Those that nobody has asked for since their health changed may be well again.
            for numbers in self._fallen.values():
                numbers -= {n for n in numbers if not self.answers[n].current(health)}
        if rule and rule not in told:
            self.ledger.tell(self.policy.name, self.family, rule)
        elif told and not any(self._fallen.values()):
            self.ledger.tell(self.policy.name, self.family, "")

    def choose(self, ready: Ready, health: Health, dice: EngineDice) -> Packed:
        """The answer of one query; `health` is that for which the Ready is good."""
        if ready.choices:
            return ready.choices[bisect_right(ready.bounds, dice.random())]
        if ready.shedding is not None:
            ready = self._after(ready, health, dice)
            return ready.fixed or self.choose(ready, health, dice)
        branch = ready.outcome.branch
        assert branch is not None, "the caller has seen that there are records"
        picks = draw(branch, self.family, self.policy.answers, self.policy.take, dice)
        known = ready.drawn.get(picks)
        if known is None:
            known = self.pack(ready, picks)
            if len(ready.drawn) < MOST_PACKED:
                ready.drawn[picks] = known
        return known

    def pack(self, ready: Ready, picks: Picks) -> Packed:
        """The octets of some endpoints' records."""
        rrtype = A if self.family == 4 else AAAA
        octets = bytearray()
        for pool, index in picks:
            packed = self.pools[pool].endpoints[index].address(self.family)
            assert packed is not None, "only endpoints with the family are offered"
            octets += compose_record(rrtype, ready.ttl, packed)
        names = dict.fromkeys(self.pools[pool].name for pool, _ in picks)
        cells = [self.ledger.cell("answers", self.policy.name, name) for name in names]
        if ready.outcome.rule:
            rule = ready.outcome.rule
            cells.append(self.ledger.cell("policy_fallback", self.policy.name, rule))
        body = Body(bytes(octets), len(picks), 0, 0, len(octets), 0)
        return pack(body, NOERROR, True, tuple(cells))

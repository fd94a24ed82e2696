"""The sample world, with pools that shed load, for tests of what load does to answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gslb.core.health import with_shares
from gslb.core.policy import Child, Node, Policy, PoolNode, Shed
from gslb.core.setting import Settings
from gslb.core.table import PolicyTable, uniform_table
from gslb.core.world import World
from gslb.serve.ready import Ledger, Steering

from sample import POOLS, make_world

SHED = Shed(0.7, 0.95)
FRA, IAD, NRT, SORRY = (replace(pool, shed=SHED) for pool in POOLS[:4])
LEAF = {pool.name: PoolNode(pool.index, pool) for pool in (FRA, IAD, NRT, SORRY)}


def branches(*names: str) -> tuple[Child, ...]:
    """Pools that can shed, as branches."""
    return tuple(Child(name, LEAF[name]) for name in names)


def loaded_world(
    node: Node,
    shares: Mapping[int, int],
    table: PolicyTable | None = None,
    settings: Settings | None = None,
    **options: object,
) -> World:
    """The sample with `split` and `www` decided by a node, and shares of its pools by index."""
    named = [Policy(name, node, **options) for name in ("split", "web")]  # type: ignore[arg-type]
    world = make_world(extra=named, settings=settings)
    tables = {**world.plan.tables, **dict.fromkeys(("split", "web"), table or uniform_table({}))}
    config = replace(world.plan.config, pools=(FRA, IAD, NRT, SORRY, *POOLS[4:]))
    plan = replace(world.plan, config=config, tables=tables)
    return World(plan, with_shares(world.health, shares), 1)


def steering_of(world: World) -> Steering:
    """The ready answers of `split`, for A."""
    plan = world.plan
    policy, table = plan.config.policies["split"], plan.tables["split"]
    return Steering(policy, table, plan.config.pools, 30, 4, Ledger(lambda *_: None))

"""Which promotions affect each other, and which are decided upon together.

Promotions that touch no common line, not even through others, cannot affect each other; each
such cluster is settled by itself, as a list of blocks in the promotions' order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from terminal_client.core.promotion_deals import Deal, Roles
from terminal_client.core.promotion_model import Exclusive, Promotion, Resolve, Scope


@dataclass(frozen=True, slots=True)
class Candidate:
    """A promotion that takes something off what the phase begins with.

    ``lines`` are those it is about, in whichever role; ``opening`` is what it would do alone.
    """

    promotion: Promotion
    roles: Roles
    lines: frozenset[int]
    opening: Deal

    @property
    def cost(self) -> int:
        """What it costs to ask again, in nodes."""
        return cost_of(self.roles)


def cost_of(roles: Roles) -> int:
    """Return what it costs to ask what a promotion with these roles takes off, in nodes."""
    return 1 + sum(map(len, roles))


@dataclass(frozen=True, slots=True)
class Block:
    """Candidates that are decided upon together, in their order.

    ``limit``: at most one of them applies. ``best``: whichever takes the most off; otherwise
    the first that takes anything off.
    """

    members: tuple[Candidate, ...]
    limit: bool
    best: bool


def clusters_of(candidates: Sequence[Candidate]) -> list[list[Block]]:
    """Split a phase's candidates into those that affect each other; all of them stay in order.

    Two affect each other where they share a line, or a group of which only one may apply. A
    group whose members may not share a unit says nothing about members without a common line.
    """
    parents = list(range(len(candidates)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    owners: dict[object, int] = {}
    for index, candidate in enumerate(candidates):
        exclusive = candidate.promotion.exclusive
        shared: Iterable[object] = candidate.lines
        if exclusive is not None and exclusive.scope is Scope.BASKET:
            shared = [*candidate.lines, exclusive.group]
        for key in shared:
            owner = owners.setdefault(key, index)
            if owner != index:
                one, other = root(owner), root(index)
                parents[max(one, other)] = min(one, other)
    clusters: dict[int, list[Candidate]] = {}
    for index, candidate in enumerate(candidates):
        clusters.setdefault(root(index), []).append(candidate)
    return [_blocks(cluster) for cluster in clusters.values()]


def _blocks(candidates: Iterable[Candidate]) -> list[Block]:
    """Group the candidates; a block stands where its first member does."""
    grouped: dict[object, list[Candidate]] = {}
    for candidate in candidates:
        exclusive = candidate.promotion.exclusive
        key: object = (candidate.promotion.offer_id,)
        # By priority and sharing no unit is what promotions that do not stack are anyway.
        if exclusive is not None and _decides(exclusive):
            key = exclusive.group
        grouped.setdefault(key, []).append(candidate)
    return [_block(tuple(members)) for members in grouped.values()]


def _decides(exclusive: Exclusive) -> bool:
    return exclusive.resolve is Resolve.BEST_DEAL or exclusive.scope is Scope.BASKET


def _block(members: tuple[Candidate, ...]) -> Block:
    exclusive = members[0].promotion.exclusive
    if exclusive is None or not _decides(exclusive):
        return Block(members, limit=True, best=False)
    return Block(
        members,
        limit=exclusive.scope is Scope.BASKET,
        best=exclusive.resolve is Resolve.BEST_DEAL,
    )

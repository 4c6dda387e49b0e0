"""Which promotions of a phase apply, and in which order they use the units.

Inside a cluster, promotions apply in their order, except that a best-deal group takes whichever
members, in whichever order, take the most off the cluster. The
greedy answer comes first and always stands; a complete search may replace it within its nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from terminal_client.core.promotion_clusters import Block, Candidate, clusters_of
from terminal_client.core.promotion_deals import Deal, deal_of
from terminal_client.core.promotion_nodes import Nodes, NodesSpentError
from terminal_client.core.promotion_pool import Pot, Pots, use

# What a branch costs beside the questions it asks, measured in the time of one segment.
_NODES_PER_BRANCH = 12
_LINES_COPIED_PER_NODE = 32


Chosen = tuple[tuple[Candidate, Deal], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What applies in a phase. ``limited``: the search did not come to its end."""

    chosen: Chosen
    limited: bool


def settle(candidates: Sequence[Candidate], pots: Mapping[int, Pot], nodes: Nodes) -> Settled:
    """Return which of a phase's candidates apply to the ``pots`` that the phase begins with.

    ``candidates`` come in the promotions' order. Never spends more than ``nodes``.
    """
    clusters = clusters_of(candidates)
    greedy: list[Chosen] = []
    limited = False
    for blocks in clusters:
        found, limited = _greedy(blocks, pots, nodes) if not limited else ((), True)
        greedy.append(found)
    chosen: list[tuple[Candidate, Deal]] = []
    # The other half stays for the phases to come: their greedy answers matter more.
    part = nodes.half()
    for blocks, first in zip(clusters, greedy, strict=True):
        best = first
        if not limited and _has_choice(blocks):
            best, limited = _search(blocks, first, pots, part)
        chosen += best
    nodes.join(part)
    return Settled(tuple(chosen), limited)


def _has_choice(blocks: Sequence[Block]) -> bool:
    """Tell whether another choice than the greedy one may take more off.

    One block of which one member applies has its best deal from the greedy answer.
    """
    if len(blocks) == 1 and blocks[0].limit:
        return False
    return any(block.best for block in blocks) and sum(len(b.members) for b in blocks) > 1


def _deal(candidate: Candidate, pots: Pots, touched: Set[int], nodes: Nodes) -> Deal | None:
    if candidate.lines.isdisjoint(touched):
        nodes.spend(1)
        return candidate.opening
    nodes.spend(candidate.cost)
    return deal_of(candidate.promotion, candidate.roles, pots)


def _own(blocks: Iterable[Block], pots: Mapping[int, Pot]) -> Pots:
    """Return a copy of the pots that these blocks are about."""
    numbers = frozenset().union(*[one.lines for block in blocks for one in block.members])
    return {number: pots[number] for number in numbers}


def _greedy(
    blocks: Sequence[Block], opening: Mapping[int, Pot], nodes: Nodes
) -> tuple[Chosen, bool]:
    """Return what applies when each block takes its best deal of the moment.

    The second is True where the nodes ran out; what was found until then stands.
    """
    found: list[tuple[Candidate, Deal]] = []
    touched: set[int] = set()
    try:
        if len(blocks) == len(blocks[0].members) == 1:
            # Nearly every cluster is a promotion by itself.
            nodes.spend(1)
            (candidate,) = blocks[0].members
            return ((candidate, candidate.opening),), False
        pots = _own(blocks, opening)
        for block in blocks:
            left = list(block.members)
            while left:
                offered = _best_offered(block, left, pots, touched, nodes)
                if offered is None:
                    break
                candidate, deal = offered
                found.append(offered)
                use(pots, deal.takes, candidate.promotion.stackable)
                touched.update([take.segment.line_number for take in deal.takes])
                left.remove(candidate)
                if block.limit:
                    break
    except NodesSpentError:
        return tuple(found), True
    return tuple(found), False


def _best_offered(
    block: Block, members: Iterable[Candidate], pots: Pots, touched: Set[int], nodes: Nodes
) -> tuple[Candidate, Deal] | None:
    best: tuple[Candidate, Deal] | None = None
    for member in members:
        deal = _deal(member, pots, touched, nodes)
        if deal is None:
            continue
        if best is None or deal.discount > best[1].discount:
            best = member, deal
        if not block.best:
            break
    return best


@dataclass(frozen=True, slots=True)
class _State:
    """A branch of the search: what is chosen so far, and what is to be decided next."""

    index: int
    members: tuple[Candidate, ...]
    pots: Pots
    touched: frozenset[int]
    total: int
    chosen: Chosen


def _search(
    blocks: Sequence[Block], first: Chosen, pots: Mapping[int, Pot], nodes: Nodes
) -> tuple[Chosen, bool]:
    """Return the best choice found, and whether the nodes ran out before the end.

    ``first`` stands unless another takes more off.
    """
    best, most = first, sum(deal.discount for _, deal in first)
    stack = [_State(0, blocks[0].members, _own(blocks, pots), frozenset(), 0, ())]
    try:
        while stack:
            state = stack.pop()
            if state.index == len(blocks):
                if state.total > most:
                    best, most = state.chosen, state.total
            else:
                stack += _branches(blocks, state, nodes)
    except NodesSpentError:
        return best, True
    return best, False


def _branches(blocks: Sequence[Block], state: _State, nodes: Nodes) -> list[_State]:
    """Return the states that may follow, the one to look at first last."""
    block = blocks[state.index]
    offered = []
    for member in state.members:
        deal = _deal(member, state.pots, state.touched, nodes)
        if deal is not None:
            offered.append((member, deal))
            if not block.best:
                break
    last = state.index + 1 == len(blocks)
    # To take nothing off may pay only where others come later.
    branches = [] if offered and (last or not block.best) else [_next(blocks, state)]
    for member, deal in reversed(offered):
        nodes.spend(_NODES_PER_BRANCH + len(state.pots) // _LINES_COPIED_PER_NODE)
        after = _after(state, member, deal)
        branches.append(_next(blocks, after) if block.limit or not after.members else after)
    return branches


def _after(state: _State, member: Candidate, deal: Deal) -> _State:
    pots = dict(state.pots)
    use(pots, deal.takes, member.promotion.stackable)
    return _State(
        state.index,
        tuple(other for other in state.members if other is not member),
        pots,
        state.touched | {take.segment.line_number for take in deal.takes},
        state.total + deal.discount,
        (*state.chosen, (member, deal)),
    )


def _next(blocks: Sequence[Block], state: _State) -> _State:
    index = state.index + 1
    members = blocks[index].members if index < len(blocks) else ()
    return _State(index, members, state.pots, state.touched, state.total, state.chosen)

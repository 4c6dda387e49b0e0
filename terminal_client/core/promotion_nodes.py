"""The node budget: what bounds the work on one basket."""

from __future__ import annotations


class NodesSpentError(Exception):
    """The node budget is spent: what is settled so far is the answer."""


class Nodes:
    """A budget of nodes: one per segment looked at, and one per question asked."""

    __slots__ = ("left", "used")

    def __init__(self, budget: int) -> None:
        self.left = max(0, budget)
        self.used = 0

    def spend(self, nodes: int) -> None:
        """Take ``nodes`` from the budget.

        Raises:
            NodesSpentError: there are not so many; nothing is left then.
        """
        if nodes > self.left:
            self.used += self.left
            self.left = 0
            raise NodesSpentError
        self.left -= nodes
        self.used += nodes

    def half(self) -> Nodes:
        """Split off half of what is left, for work that may be given up."""
        part = Nodes(self.left // 2)
        self.left -= part.left
        return part

    def join(self, part: Nodes) -> None:
        """Take back what ``half`` gave and the work did not use."""
        self.left += part.left
        self.used += part.used

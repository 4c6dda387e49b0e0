"""How many calls are decided at once; the rest gets the rules' answer at once.

The limit adapts: it shrinks when calls use up what the policy gives their workflows or the
event loop runs late, and grows again while calls finish in time. A caller in a hurry moves
nothing: its own short deadline says nothing about this box. Overload is an outcome, never an
error, a mode or a reason to ask the cloud.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terminal_client.core.policy import Priority

_SHARE = {Priority.PAYMENT: 1.0, Priority.NORMAL: 0.9, Priority.DEFERRABLE: 0.6}
_RANK = (Priority.PAYMENT, Priority.NORMAL, Priority.DEFERRABLE)
_SHRINK = 0.8
_SHRINK_EVERY_S = 0.1
_LATE_SHARE = 0.8
"""A call that used this share of the policy's budget by itself counts as late."""
LATE_LOOP_S = 0.02
"""The event loop this late counts as a late call."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call inside; give it back by ``Admission.leave``."""

    admitted: bool


class Admission:
    """An adaptive limit on concurrent calls."""

    def __init__(self, least: int, most: int, now_s: Callable[[], float]) -> None:
        """``least`` calls are always let in, never more than ``most``."""
        self._least, self._most = float(least), float(most)
        self._limit = float(most)
        self._inside = 0
        self._now_s = now_s
        self._shrunk_s = float("-inf")
        self.shed_count = 0

    @property
    def limit(self) -> float:
        """The limit in force."""
        return self._limit

    @property
    def inside(self) -> int:
        """Calls let in and not left."""
        return self._inside

    def enter(self, priority: Priority) -> Ticket:
        """Let a call in, if there is room for its class."""
        room = max(self._limit * _SHARE[priority], self._least)
        admitted = self._inside < room
        if admitted:
            self._inside += 1
        else:
            self.shed_count += 1
        return Ticket(admitted)

    def leave(self, ticket: Ticket, own_us: int, budget_us: int, policy_us: int) -> None:
        """Note the end of a call that took ``own_us``, waiting for the cloud not counted.

        It had ``budget_us``; the policy gives its workflows ``policy_us``.
        """
        if not ticket.admitted:
            return
        late_us = _LATE_SHARE * policy_us
        if own_us > late_us:
            self.late()
        elif budget_us >= late_us and self._inside >= self._limit / 2:
            self._limit = min(self._limit + 1 / self._limit, self._most)
        self._inside -= 1

    def late(self) -> None:
        """Shrink the limit: work here takes too long."""
        now_s = self._now_s()
        if now_s - self._shrunk_s >= _SHRINK_EVERY_S:
            self._shrunk_s = now_s
            self._limit = max(self._limit * _SHRINK, self._least)

    def recover(self) -> None:
        """Grow a little while nothing happens; called now and then when the loop is on time."""
        self._limit = min(self._limit + 1, self._most)


def highest_priority(priorities: list[Priority]) -> Priority:
    """Return the class of a call: that of its most important workflow."""
    return min(priorities, key=_RANK.index, default=Priority.NORMAL)

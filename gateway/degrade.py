"""Which mode is in force: signals in, modes out, per workflow and for the box.

Owns the states between two looks and an operator's or a drill's order. The transition
itself is ``core.modes.step``. Freshness is not looked at here: it is judged per basket, at
the basket's own time, so that no register's clock moves the whole box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from terminal_client.core.modes import Hysteresis, Mode, ModeState, Signals, Tier, step
from terminal_client.core.policy import Policy, WorkflowPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of one workflow's tiers; a reason is empty while its tier is usable."""

    edge_reason: str = ""
    cloud_reason: str = ""


class DegradeMonitor:
    """The modes in force; ``look`` is called several times a second and on every change."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """``now_s`` is monotonic seconds."""
        self._now_s = now_s
        self._forced: Mode | None = None
        self._forced_reason = ""
        self._states: dict[str, ModeState] = {}
        self._box = ModeState()
        self._reasons: frozenset[str] = frozenset()

    @property
    def mode(self) -> Mode:
        """The box's summary: a tier counts as usable while every workflow can use it."""
        return self._box.mode

    @property
    def reasons(self) -> frozenset[str]:
        """Why the box is not in full mode, as reason codes."""
        return self._reasons

    @property
    def modes(self) -> Mapping[str, Mode]:
        """The mode of each workflow."""
        return {name: state.mode for name, state in self._states.items()}

    def mode_of(self, workflow: str) -> Mode:
        """Return the workflow's mode; EMERGENCY before the first look."""
        state = self._states.get(workflow)
        return Mode.EMERGENCY if state is None else state.mode

    def force(self, mode: Mode | None, reason: str) -> None:
        """Order a mode (OPERATOR_FORCED or DRILL), or take the order back by None."""
        self._forced = mode
        self._forced_reason = reason if mode is not None else ""

    def look(self, policy: Policy, observe: Callable[[WorkflowPolicy], Observed]) -> None:
        """Step every workflow and the box by what ``observe`` says.

        A tier that a workflow does not declare cannot degrade it.
        """
        hysteresis = Hysteresis(rise_after=policy.rise_after)
        now_s = self._now_s()
        edge_usable = cloud_usable = True
        reasons: set[str] = {self._forced_reason} - {""}
        for name in self._states.keys() - policy.workflows.keys():
            del self._states[name]
        for name, workflow in policy.workflows.items():
            seen = observe(workflow)
            edge = Tier.EDGE_MODEL not in workflow.tiers or not seen.edge_reason
            cloud = Tier.DEEP_MODEL not in workflow.tiers or not seen.cloud_reason
            reasons |= {
                reason
                for usable, reason in ((edge, seen.edge_reason), (cloud, seen.cloud_reason))
                if not usable
            }
            edge_usable, cloud_usable = edge_usable and edge, cloud_usable and cloud
            signals = Signals(edge_usable=edge, cloud_usable=cloud, forced=self._forced)
            # A workflow seen for the first time starts where it is, not at the bottom.
            state = self._states.get(name) or ModeState(mode=_start(signals))
            self._states[name] = step(state, signals, now_s, hysteresis)
        box = Signals(edge_usable=edge_usable, cloud_usable=cloud_usable, forced=self._forced)
        self._box = step(self._box, box, now_s, hysteresis)
        self._reasons = frozenset(reasons)


def _start(signals: Signals) -> Mode:
    return step(ModeState(), signals, 0.0, Hysteresis(rise_after=Hysteresis().rise_after * 0)).mode

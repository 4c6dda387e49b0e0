"""What every workflow of one call shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.decisions.deep import DeepAnswer, DeepQuestion
from gateway.decisions.holdings import ActiveSet, ModelHolding
from gateway.features.assembly import Rows
from gateway.features.store_log import StoreLog
from gateway.features.tables import Floats
from gateway.inference.runtime import Tensors
from terminal_client.core.basket import Basket
from terminal_client.core.decision import WorkflowResult
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.policy import WorkflowPolicy
from terminal_client.core.store_time import LocalTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The basket, its time of record, and what decides: fixed for the whole call."""

    basket: Basket
    at: datetime
    local: LocalTime
    bundle: FallbackBundle
    active: ActiveSet
    log: StoreLog
    store_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Rows a model saw and what it said, for the record that replays the decision."""

    model_digest: str
    line_numbers: tuple[int, ...]
    rows: Floats
    scores: Floats


class Judge(Protocol):
    """How models improve on the rules' answer to one workflow.

    The pipeline calls the methods in this order; any of them may be left out when time,
    mode or a fault says so, and ``result`` is right at every moment.
    """

    workflow: WorkflowPolicy
    missed_reason: str

    def prepare(self, model: ModelHolding) -> Rows | None:
        """Build the model's input by ``model``'s contract; None: rows are not its input."""
        ...

    def edge_inputs(self) -> Tensors | None:
        """Return the edge model's tensors; None: there is nothing to ask it."""
        ...

    def take_edge(self, outputs: Tensors, digest: str) -> None:
        """Take what the edge model said."""
        ...

    def question(self) -> DeepQuestion | None:
        """Return what is left for the deep model; None: nothing."""
        ...

    def take_deep(self, answer: DeepAnswer) -> None:
        """Take what the deep model said."""
        ...

    def missed(self, reason: str) -> None:
        """Note why a model that the mode allows was not used, as a reason code."""
        ...

    def result(self) -> WorkflowResult:
        """Return the answer as it stands."""
        ...

    def scored(self) -> list[Scored]:
        """Return what replays it."""
        ...

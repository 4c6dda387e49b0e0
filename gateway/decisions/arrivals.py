"""The queue, from what this box sees: who comes, how long a sale takes, which lanes work.

Little's law and Erlang C over the last minutes of evaluated baskets, in the store's own
time (the baskets' times of record), so that a replay and a real day give the same figures.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from terminal_client.core.basket import Basket, NamedValue
from terminal_client.core.decision import Place, Reason, WorkflowResult
from terminal_client.core.modes import Tier
from terminal_client.core.policy import WorkflowPolicy
from terminal_client.core.queueing import expected_wait_s
from terminal_client.core.tables import ArrivalsTable

WINDOW = timedelta(minutes=10)
_FEWEST = 3
_MOST_SALES = 4096


@dataclass(slots=True)
class _Sale:
    """One sale: first and last seen."""

    key: tuple[str, int, str]
    workstation: str
    first: datetime
    last: datetime


class ObservedArrivals:
    """Sales seen lately; bounded, whatever registers send."""

    def __init__(self) -> None:
        self._order: deque[_Sale] = deque()
        self._by_key: dict[tuple[str, int, str], _Sale] = {}

    def see(self, basket: Basket, at: datetime) -> None:
        """Note that a basket was evaluated, with its time of record."""
        ref = basket.transaction
        key = (ref.workstation_id, ref.sequence_number, ref.basket_id)
        # The POS fixes the time of record for a sale; the register's own clock goes on.
        moment = basket.terminal_time or at
        sale = self._by_key.get(key)
        if sale is None:
            sale = _Sale(key, ref.workstation_id, moment, moment)
            self._by_key[key] = sale
            self._order.append(sale)
            if len(self._order) > _MOST_SALES:
                self._by_key.pop(self._order.popleft().key, None)
        else:
            sale.last = max(sale.last, moment)

    def answer(
        self,
        workflow: WorkflowPolicy,
        rules: WorkflowResult,
        profile: ArrivalsTable | None,
        at: datetime,
    ) -> WorkflowResult:
        """Return the observed wait in place of the profile's, once enough sales were seen."""
        recent = [sale for sale in self._order if at - WINDOW < sale.first <= at]
        if len(recent) < _FEWEST:
            return rules
        if "outputs" not in workflow.influence:
            return replace(rules, reasons=(*rules.reasons, Reason(code="INFLUENCE_CAPPED")))
        spans = [(sale.last - sale.first).total_seconds() for sale in recent]
        worked = [span for span in spans if span > 0]
        service_s = sum(worked) / len(worked) if worked else profile.service_s if profile else 60
        lanes = len({sale.workstation for sale in recent})
        per_hour = len(recent) * 3600 / WINDOW.total_seconds()
        outputs = {
            "waiting_s": expected_wait_s(per_hour, service_s, lanes),
            "arrivals_per_hour": round(per_hour),
            "service_s": round(service_s),
            "lanes": lanes,
        }
        return replace(
            rules,
            tier=Tier.EDGE_MODEL,
            place=Place.GATEWAY,
            outputs=tuple(
                NamedValue(name=name, int_value=value) for name, value in outputs.items()
            ),
        )

"""How long a customer waits, from arrivals, service time and open lanes.

An M/M/c queue (Erlang C): Poisson arrivals and exponential service are what the panel's
store-days show (variance over mean 1.14). Deterministic, so a register and a gateway with
equal inputs agree.
"""

from __future__ import annotations

LONGEST_WAIT_S = 3_600
"""The answer when lanes cannot keep up: the queue grows without bound."""


def expected_wait_s(arrivals_per_hour: float, service_s: float, lanes: int) -> int:
    """Return the mean wait before service in whole seconds, in ``[0, 3600]``.

    Source: Erlang C, e.g. Gross and Harris, Fundamentals of Queueing Theory, section 2.3.
    """
    if lanes < 1 or arrivals_per_hour < 0 or service_s < 0:
        return LONGEST_WAIT_S
    load = arrivals_per_hour / 3_600 * service_s
    if load >= lanes:
        return LONGEST_WAIT_S
    term, total = 1.0, 1.0
    for k in range(1, lanes):
        term *= load / k
        total += term
    term *= load / lanes
    waiting = term * lanes / (lanes - load)
    probability = waiting / (total + waiting)
    return min(round(probability * service_s / (lanes - load)), LONGEST_WAIT_S)

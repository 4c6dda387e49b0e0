"""A register that rings up real receipts until it is killed: ``python -m tests.e2e.register``.

What it acted on goes to a file, line by line, after the answer and before the next basket:
``D request_id decision_id`` (``L`` instead of ``D``: the answer itself said that its record was
not on disk yet) and ``O decision_id`` for an outcome that was told to be on disk. A line on
standard input makes it stop, upload everything and end; it then prints what it still holds.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

from terminal_client.client import TerminalClient
from terminal_client.config_file import load_config
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision
from terminal_client.local_record import RECORD_LATE
from terminal_client.outcomes import SaleEnd, SaleOutcome
from tests.e2e.lanes import WORKFLOWS, real_baskets

LANES = 2
_RECEIPTS = 400
# Between two sales; a lane is not the only thing on its machine.
_PAUSE_S = 0.01
_LONGEST_SETTLE_S = 30.0
_OUTCOME_EVERY = 3


class Journal:
    """Lines that survive kill -9: each is one write to a file opened for appending."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, *words: str) -> None:
        os.write(self._file, (" ".join(words) + "\n").encode())


def ring_up(client: TerminalClient, number: int, journal: Journal) -> None:
    """Ring up one sale and note what was acted on."""
    basket = sale(number)
    decision = client.evaluate(basket, WORKFLOWS)
    journal.note("L" if _late(decision) else "D", decision.request_id, decision.decision_id)
    if number % _OUTCOME_EVERY == 0:
        outcome = SaleOutcome(end=SaleEnd.COMPLETED, final_basket_revision=basket.basket_revision)
        if client.report_outcome(
            basket.transaction, outcome, decision_id=decision.decision_id, wait=timedelta(seconds=2)
        ):
            journal.note("O", decision.decision_id)


def sale(number: int) -> Basket:
    """Return the sale's basket: a real receipt under a number of its own."""
    basket = real_baskets(_RECEIPTS)[number % _RECEIPTS]
    transaction = replace(
        basket.transaction, sequence_number=number + 1, basket_id=f"sale-{number}"
    )
    return replace(basket, transaction=transaction)


def _late(decision: Decision) -> bool:
    return any(notice.code == RECORD_LATE for notice in decision.notices)


def settle(client: TerminalClient) -> int:
    """Wait until everything is uploaded; return how many bytes are left."""
    until = time.monotonic() + _LONGEST_SETTLE_S
    left = waiting(client)
    while (left or client.status().conditions) and time.monotonic() < until:
        time.sleep(0.05)
        left = waiting(client)
    return left


def waiting(client: TerminalClient) -> int:
    """Return how many bytes of decisions and outcomes the box does not have."""
    spool = client.status().spool
    assert spool is not None
    return spool.waiting_bytes + spool.outcome_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--acted", type=Path, required=True)
    parser.add_argument("--first", type=int, required=True)
    arguments = parser.parse_args()
    journal, numbers, stop = Journal(arguments.acted), count(arguments.first), threading.Event()
    with TerminalClient.open(load_config(arguments.config)) as client:

        def lane() -> None:
            while not stop.is_set():
                ring_up(client, next(numbers), journal)
                time.sleep(_PAUSE_S)

        lanes = [threading.Thread(target=lane) for _ in range(LANES)]
        real_baskets(_RECEIPTS)
        print("ready", flush=True)
        for each in lanes:
            each.start()
        sys.stdin.readline()
        stop.set()
        for each in lanes:
            each.join()
        print(f"left {settle(client)}", flush=True)


if __name__ == "__main__":
    main()

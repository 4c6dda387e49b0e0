"""A lane as a process of its own, to be killed at any moment.

``python -m tests.terminal.lane CONFIG JOURNAL COUNT``: asks baskets and notes each answer in
JOURNAL, with fsync, once ``evaluate`` has returned it: what is noted there was acted on.
"""

from __future__ import annotations

import itertools
import os
import pickle
import sys
from datetime import timedelta
from pathlib import Path

from terminal_client.client import TerminalClient
from terminal_client.core.decision import Place
from tests.terminal.rules import WORKFLOWS, basket


def main() -> None:
    config = pickle.loads(Path(sys.argv[1]).read_bytes())
    journal, count = Path(sys.argv[2]), int(sys.argv[3])
    with TerminalClient.open(config) as client, journal.open("a", encoding="ascii") as notes:
        print("open", flush=True)
        for number in itertools.islice(itertools.count(1), count or None):
            decision = client.evaluate(
                basket(number % 500), WORKFLOWS, budget=timedelta(milliseconds=100)
            )
            codes = {notice.code for notice in decision.notices}
            kept = "late" if codes & {"RECORD_LATE", "RECORD_LOST"} else "kept"
            place = decision.results[0].place
            if place is Place.TERMINAL:
                notes.write(f"{decision.decision_id} {decision.request_id} {kept}\n")
                notes.flush()
                os.fsync(notes.fileno())
        print("done", flush=True)


if __name__ == "__main__":
    main()

"""Nothing is lost and nothing counts twice, whichever side is killed with -9, and whenever.

What the registers say they acted on is compared with the box's database, read with plain SQL.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest

from examples.complete_journey.demo.machinery import environment
from examples.complete_journey.demo.publishing import RING
from examples.complete_journey.demo.settings import lane_toml
from terminal_client.config_file import load_config
from tests.e2e.box import Box
from tests.e2e.conftest import Store, install_rules
from tests.e2e.register import LANES

REGISTER_KILLS = 5
BOX_KILLS = 4
_ROOT = Path(__file__).parents[2]
_SEED = 367
_DRAIN_S = 20.0
_SALES_PER_LIFE = 100_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True, kw_only=True)
class Books:
    """Both sides' books. ``late`` decisions had said themselves that they were not on disk."""

    acted: dict[str, str]
    late: frozenset[str]
    outcomes: list[str]
    of_record: Counter[str]
    decisions: dict[str, str]
    outcome_rows: Counter[str]

    @property
    def lost(self) -> set[str]:
        return {key for key, value in self.acted.items() if self.decisions.get(key) != value}

    @property
    def doubled(self) -> list[str]:
        return [key for key, copies in self.of_record.items() if copies > 1]

    @property
    def outcomes_lost(self) -> list[str]:
        return [key for key in self.outcomes if self.outcome_rows[key] == 0]

    @property
    def outcomes_doubled(self) -> list[str]:
        return [key for key, copies in self.outcome_rows.items() if copies > 1]

    def told(self) -> str:
        return (
            f"acted {len(self.acted)} (record late: {len(self.late)}), of record"
            f" {len(self.of_record)}, lost {len(self.lost)}, doubled {len(self.doubled)};"
            f" outcomes {len(self.outcomes)}, lost {len(self.outcomes_lost)},"
            f" doubled {len(self.outcomes_doubled)}"
        )


def read_books(box: Box, acted: Path) -> Books:
    lines = [line.split() for line in acted.read_text().splitlines()]
    with closing(sqlite3.connect(f"file:{box.database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT request_id, decision_id FROM decisions WHERE superseded_by IS NULL"
        ).fetchall()
        outcomes = connection.execute("SELECT decision_id FROM outcomes").fetchall()
    return Books(
        acted={line[1]: line[2] for line in lines if line[0] in "DL"},
        late=frozenset(line[1] for line in lines if line[0] == "L"),
        outcomes=[line[1] for line in lines if line[0] == "O"],
        of_record=Counter(request for request, _ in rows),
        decisions=dict(rows),
        outcome_rows=Counter(decision for (decision,) in outcomes),
    )


def settled_books(box: Box, acted: Path) -> Books:
    """Return the books once control has drained what serving left it."""
    until = time.monotonic() + _DRAIN_S
    books = read_books(box, acted)
    while (books.lost - books.late or books.outcomes_lost) and time.monotonic() < until:
        time.sleep(0.2)
        books = read_books(box, acted)
    print(books.told())
    return books


class Register:
    """A register process that is started, killed and started again."""

    def __init__(self, config: Path, acted: Path) -> None:
        self._config = config
        self._acted = acted
        self._life = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.e2e.register", "--config", str(self._config)]
        command += ["--acted", str(self._acted), "--first", str(self._life * _SALES_PER_LIFE)]
        self._life += 1
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env=environment(),
            text=True,
        )
        assert self._hear() == "ready"

    def kill(self) -> None:
        """Kill with -9."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None

    def settle(self) -> None:
        """Let it upload everything and end by itself."""
        assert self._process is not None
        with self._process as process:
            assert process.stdin is not None
            process.stdin.write("settle\n")
            process.stdin.flush()
            assert self._hear() == "left 0"
        self._process = None

    def _hear(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def register_of(box: Box, store: Store, name: str) -> Iterator[Register]:
    """A register with the signed rules on its disk; it is not started."""
    config = box.folder / f"{name}.toml"
    config.write_text(lane_toml(box.folder, name, store.authority.ca, store.lane, RING, box.ports))
    install_rules(load_config(config), store.tree)
    register = Register(config, box.folder / "acted")
    try:
        yield register
    finally:
        register.kill()


def test_a_register_killed_while_it_decides_alone_and_uploads_loses_and_doubles_nothing(
    running_box: Box, store: Store
) -> None:
    random = Random(_SEED)
    running_box.signal(SIGKILL, "serving")
    with register_of(running_box, store, "lane-1") as register:
        for _ in range(REGISTER_KILLS):
            register.start()
            time.sleep(random.uniform(0.05, 1.5))
            register.kill()
        register.start()
        time.sleep(0.5)
        register.settle()
    books = settled_books(running_box, running_box.folder / "acted")
    assert len(books.acted) > 20 * REGISTER_KILLS
    # Only what the answer itself called late may be lost, and only under the axe.
    assert books.lost <= books.late
    assert len(books.lost) <= REGISTER_KILLS * LANES
    assert (books.doubled, books.outcomes_lost, books.outcomes_doubled) == ([], [], [])


def test_a_box_killed_under_way_loses_and_doubles_nothing(running_box: Box, store: Store) -> None:
    random = Random(_SEED)
    with (
        register_of(running_box, store, "lane-1") as first,
        register_of(running_box, store, "lane-2") as second,
    ):
        for register in (first, second):
            register.start()
        for turn in range(BOX_KILLS):
            role = ("serving", "control")[turn % 2]
            time.sleep(random.uniform(0.3, 1.5))
            running_box.signal(SIGKILL, role)
            time.sleep(random.uniform(0.0, 1.0))
            running_box.start(role)
        running_box.wait_for(lambda seen: seen.ready, "ready again")
        time.sleep(1.0)
        for register in (first, second):
            register.settle()
    books = settled_books(running_box, running_box.folder / "acted")
    by_lane = Counter(decision.startswith("lane-") for decision in books.acted.values())
    assert by_lane[True] > 20
    assert by_lane[False] > 100
    # Nobody killed a register: even a late record must be there.
    assert books.lost == set()
    assert (books.doubled, books.outcomes_lost, books.outcomes_doubled) == ([], [], [])

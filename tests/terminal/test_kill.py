"""kill -9 on either side, again and again: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminal_client.config import TerminalConfig
from terminal_client.spool import Spool
from tests.terminal.conftest import ROOT, Store, end, nowhere, until

pytestmark = pytest.mark.timeout(180)


def lane(store: Store, config: TerminalConfig, journal: Path, count: int) -> subprocess.Popen[str]:
    path = store.path / "config.pickle"
    path.write_bytes(pickle.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.terminal.lane", str(path), str(journal), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    store.exits.callback(end, process)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def acted_on(journal: Path) -> dict[str, str]:
    """Return the decisions the lane acted on and had on disk, by decision id."""
    lines = [line.split() for line in journal.read_text().splitlines()]
    return {words[0]: words[1] for words in lines if len(words) == 3 and words[2] == "kept"}


def recorded(store: Store) -> list[tuple[str, str]]:
    rows = store.folder.rows("SELECT workstation, epoch, sequence, request_id FROM decisions")
    return [(f"{lane}-{epoch}-{sequence}", str(request)) for lane, epoch, sequence, request in rows]


def assert_recorded_once(store: Store, journal: Path) -> None:
    there = recorded(store)
    lost = set(acted_on(journal).items()) - set(there)
    assert not lost
    assert len({request for _, request in there}) == len(there)
    assert len({decision for decision, _ in there}) == len(there)
    for (epoch,) in store.folder.rows("SELECT DISTINCT epoch FROM decisions"):
        sequences = store.folder.rows(
            f"SELECT sequence FROM decisions WHERE epoch = '{epoch}' ORDER BY sequence"
        )
        assert [row[0] for row in sequences] == list(range(1, len(sequences) + 1))


def test_a_lane_that_is_killed_again_and_again_loses_nothing(store: Store) -> None:
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    journal = store.path / "journal"
    config = store.config()
    randomness = random.Random(20171127)
    for _ in range(6):
        process = lane(store, config, journal, 0)
        time.sleep(randomness.uniform(0.05, 0.5))
        process.kill()
        process.wait()
    assert len(acted_on(journal)) > 50
    spool = Spool.open(config.state_dir / "spool.sqlite3", 2**26)
    waiting = spool.counts.waiting
    spool.close()
    assert waiting >= len(acted_on(journal))
    store.gateways = ()
    store.box()
    client = store.terminal()
    until(lambda: (spool := client.status().spool) is not None and spool.waiting == 0)
    assert_recorded_once(store, journal)
    assert len(recorded(store)) == waiting


def test_a_gateway_that_is_killed_during_uploads_has_everything_once(store: Store) -> None:
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    store.gateways = ()
    process = store.box_process()
    process.kill()
    process.wait()
    journal = store.path / "journal"
    worker = lane(store, store.config(), journal, 700)
    randomness = random.Random(20171218)
    for _ in range(5):
        time.sleep(randomness.uniform(0.1, 0.4))
        process = store.box_process()
        time.sleep(randomness.uniform(0.0, 0.6))
        process.kill()
        process.wait()
    assert worker.wait(60) == 0
    store.box_process()
    client = store.terminal()
    until(lambda: (spool := client.status().spool) is not None and spool.waiting == 0)
    assert_recorded_once(store, journal)
    assert len(acted_on(journal)) > 50


def test_both_sides_killed_at_random(store: Store) -> None:
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    store.gateways = ()
    store.gateways = (nowhere(),)
    journal = store.path / "journal"
    randomness = random.Random(367)
    gateway: subprocess.Popen[str] | None = None
    for _ in range(5):
        worker = lane(store, store.config(), journal, 0)
        if gateway is None or gateway.poll() is not None:
            gateway = store.box_process()
        time.sleep(randomness.uniform(0.1, 0.5))
        victim, other = (worker, gateway) if randomness.random() < 0.5 else (gateway, worker)
        victim.kill()
        victim.wait()
        time.sleep(randomness.uniform(0.0, 0.3))
        if other is worker:
            worker.kill()
            worker.wait()
    if gateway is None or gateway.poll() is not None:
        store.box_process()
    client = store.terminal()
    until(lambda: (spool := client.status().spool) is not None and spool.waiting == 0)
    assert_recorded_once(store, journal)

"""Health: conditions with cause and remedy, doors that answer, metrics that add up."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cloud_sync.active_file import Active
from cloud_sync.mirror import CloudView
from gateway.config import Address
from gateway.control_metrics import ControlMetrics
from gateway.health import monitor
from gateway.health.conditions import ConditionBoard, Severity, conditions
from gateway.health.door import MAX_BODY_BYTES, Reply, json_reply, open_door
from gateway.health.exposition import Exposition
from gateway.health.monitor import HealthMonitor
from gateway.health.observations import ChannelView, Observations
from gateway.health.report import Health, overall, report
from gateway.serving_link import ServingStatus
from gateway.terminals import MAX_TERMINALS, Exercised, Terminal, Terminals
from terminal_client.core.modes import Mode
from terminal_client.core.trust import Release
from tests.control.conftest import Clock
from tests.control.fake_serving import until

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RULES = Release(
    channel="rules", name="store", version="1.0.0", kind="rules", digest="sha256:d", length=1
)
SERVING = ServingStatus(
    epoch="e",
    ready=True,
    answers_loaded=True,
    mode=Mode.FULL,
    degrade_reasons=(),
    serving={("rules", "store"): "sha256:d"},
    held=("sha256:d",),
    redemption_cursor=1,
    store_log_cursor=1,
)
WELL = Observations(
    time=NOW,
    store_id="367",
    time_zone="UTC",
    version="0",
    serving=SERVING,
    serving_problem="",
    journal_problem="",
    active={("rules", "store"): Active(release=RULES, counter=1, activated=NOW, previous=None)},
    artifact_problems={},
    channels=(ChannelView(name="rules", seen_at=NOW, problem="", expires=NOW + timedelta(days=9)),),
    cloud=CloudView(configured=True, reachable=True, last_success=NOW, problem=""),
    streams=(),
    terminals=(),
    silent=frozenset(),
    certificates={"server": NOW + timedelta(days=90)},
)
AWAY = CloudView(configured=True, reachable=False, last_success=None, problem="no route")
STUCK = ChannelView(name="rules", seen_at=None, problem="targets.json: away", expires=NOW)


def codes(seen: Observations, after: timedelta = timedelta(minutes=1)) -> list[str]:
    board = ConditionBoard()
    board.shown(conditions(seen), seen.time)
    shown = board.shown(conditions(seen), seen.time + after)
    return [one.condition.code for one in shown]


SEEN = {
    "all is well": ({}, []),
    "serving is down": ({"serving": None, "serving_problem": "refused"}, ["SERVING_DOWN"]),
    "not ready": ({"serving": replace(SERVING, ready=False)}, ["NOT_READY"]),
    "out of step": ({"serving_problem": "no"}, ["SERVING_OUT_OF_STEP"]),
    "reasons": ({"serving": replace(SERVING, degrade_reasons=("MODEL_STALE", "ODD"))},
                ["MODEL_STALE", "ODD"]),
    "no rules": ({"active": {}}, ["NO_RULES"]),
    "a refused release": ({"artifact_problems": {("model", "m"): "x"}}, ["CANARY_FAILED"]),
    "the disk refuses": ({"streams": None}, ["DISK_PRESSURE"]),
    "the journal waits": ({"journal_problem": "full"}, ["DISK_PRESSURE"]),
    "a cause hides its consequences": ({"cloud": AWAY, "channels": (STUCK,)}, ["WAN_DOWN"]),
    "a stuck channel": ({"channels": (STUCK,)}, ["SYNC_REFUSED", "METADATA_EXPIRED"]),
    "a certificate ends soon": ({"certificates": {"server": NOW + timedelta(days=29)}},
                                ["CERT_EXPIRING"]),
    "a certificate has ended": ({"certificates": {"server": NOW}}, ["CERT_EXPIRED"]),
    "a silent register": ({"silent": frozenset({"4"})}, ["TERMINAL_SILENT"]),
    "errors come first": ({"silent": frozenset({"4"}), "streams": None},
                          ["DISK_PRESSURE", "TERMINAL_SILENT"]),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), SEEN.values(), ids=SEEN.keys())
def test_what_is_seen_becomes_a_condition(changes: dict[str, object], expected: list[str]) -> None:
    assert codes(replace(WELL, **changes)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "_"), SEEN.values(), ids=SEEN.keys())
def test_every_condition_is_a_sentence_with_an_owner_and_a_remedy(
    changes: dict[str, object], _: list[str]
) -> None:
    for condition in conditions(replace(WELL, **changes)):  # type: ignore[arg-type]
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", condition.code)
        assert condition.text.endswith((".", "code"))
        assert condition.remedy
        assert condition.owner in ("store", "ops", "platform", "mlops")


def test_what_heals_within_its_grace_is_never_shown() -> None:
    board = ConditionBoard()
    down = replace(WELL, serving=None, serving_problem="x")
    assert board.shown(conditions(down), NOW) == ()
    assert board.shown(conditions(WELL), NOW + timedelta(seconds=1)) == ()
    assert board.shown(conditions(down), NOW + timedelta(seconds=4)) == ()
    (shown,) = board.shown(conditions(down), NOW + timedelta(seconds=8))
    assert shown.since == NOW + timedelta(seconds=4)


def test_one_word_sums_it_up() -> None:
    board = ConditionBoard()
    assert overall(()) is Health.OK
    warned = board.shown(conditions(replace(WELL, cloud=AWAY)), NOW)
    assert overall(warned) is Health.DEGRADED
    failed = board.shown(conditions(replace(WELL, streams=None, cloud=AWAY)), NOW)
    assert overall(failed) is Health.UNHEALTHY
    assert failed[0].condition.severity is Severity.ERROR


def test_the_report_tells_what_serving_says_it_serves() -> None:
    other = replace(SERVING, serving={("rules", "store"): "sha256:e"})
    for serving, expected in ((SERVING, True), (other, False), (None, False)):
        document = report(replace(WELL, serving=serving), ())
        (artifact,) = document["artifacts"]  # type: ignore[misc]
        assert artifact["serving"] is expected  # type: ignore[has-type]
        json.dumps(document)


def test_registers_are_compared_from_heartbeat_to_heartbeat(clock: Clock) -> None:
    terminals = Terminals(clock)

    def beat(compared: int, agreed: int) -> Exercised:
        reported = Terminal(
            workstation_id="4",
            heard=clock(),
            compared_decisions=compared,
            agreed_decisions=agreed,
        )
        return terminals.beat(reported, None)

    assert beat(100, 90) == Exercised(agreed=0, differed=0)
    assert beat(110, 99) == Exercised(agreed=9, differed=1)
    assert beat(110, 99) == Exercised(agreed=0, differed=0)
    assert beat(5, 4) == Exercised(agreed=4, differed=1)


def test_a_register_that_misses_three_heartbeats_is_silent(clock: Clock) -> None:
    terminals = Terminals(clock)
    terminals.introduce("4", client_version="", fallback_digest="", terminal_time=None)
    clock.pass_by(timedelta(seconds=45))
    (terminal,) = terminals.all()
    assert not terminals.silent(terminal)
    clock.pass_by(timedelta(seconds=1))
    assert terminals.silent(terminal)


def test_made_up_registers_push_out_the_longest_silent_ones(clock: Clock) -> None:
    terminals = Terminals(clock)
    for number in range(MAX_TERMINALS + 5):
        terminals.introduce(str(number), client_version="", fallback_digest="", terminal_time=None)
    known = terminals.all()
    assert len(known) == MAX_TERMINALS
    assert known[0].workstation_id == "5"


@pytest.fixture
def door() -> Iterator[Address]:
    def boom(rest: str, body: bytes) -> Reply:
        raise RuntimeError("secret")

    routes = {
        ("GET", "/a"): lambda rest, body: json_reply({"rest": rest}),
        ("POST", "/below/"): lambda rest, body: Reply(status=201, body=rest.encode() + body),
        ("GET", "/boom"): boom,
    }
    with open_door(Address(host="127.0.0.1", port=0), routes) as at:
        assert isinstance(at, Address)
        yield at


def ask(at: Address, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=5)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_door_answers_its_routes_and_nothing_else(door: Address) -> None:
    assert ask(door, "GET", "/a?x=1") == (200, b'{"rest": ""}\n')
    assert ask(door, "POST", "/below/x", b"y") == (201, b"xy")
    for method, path in (("GET", "/"), ("GET", "/ab"), ("POST", "/a"), ("GET", "/below/x")):
        assert ask(door, method, path)[0] == 404, path
    assert ask(door, "DELETE", "/a")[0] == 501


def test_a_handler_that_fails_tells_nothing_of_the_inside(door: Address) -> None:
    status, body = ask(door, "GET", "/boom")
    assert status == 500
    assert b"secret" not in body


def test_a_large_body_is_refused(door: Address) -> None:
    with socket.create_connection((door.host, door.port), timeout=5) as connection:
        head = f"POST /below/x HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_only_this_user_and_group_may_open_the_unix_door(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("left over")
    with open_door(path, {}):
        assert path.stat().st_mode & 0o777 == 0o660
    assert not path.exists()


PROCESS = """
import sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
registry = CollectorRegistry()
count = float(sys.argv[1])
Counter("posgate_things", "t", ["a"], registry=registry).labels("x").inc(count)
Histogram("posgate_seconds", "t", registry=registry).observe(count)
Gauge("posgate_now", "t", registry=registry, multiprocess_mode="livemostrecent").set(count)
if len(sys.argv) > 2:
    print("there", flush=True)
    sys.stdin.read()
"""


def run(folder: Path, count: int) -> None:
    command = [sys.executable, "-c", PROCESS, str(count)]
    subprocess.run(command, env=environment(folder), check=True)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}


def value(text: bytes, name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text.decode(), re.MULTILINE)
    return None if found is None else float(found[1])


def test_metrics_of_ended_processes_are_added_up_in_one_file(tmp_path: Path) -> None:
    exposition = Exposition(tmp_path)
    assert exposition.render() == b""
    for count in range(1, 7):
        run(tmp_path, count)
    for _ in range(2):
        text = exposition.render()
        assert value(text, 'posgate_things_total{a="x"}') == 21
        assert value(text, "posgate_seconds_count") == 6
        assert value(text, "posgate_seconds_sum") == 21
        assert value(text, "posgate_now") is None
        assert len(list(tmp_path.glob("counter_*.db"))) == 1
    run(tmp_path, 4)
    assert value(exposition.render(), 'posgate_things_total{a="x"}') == 25


def test_a_living_process_shows_its_gauges(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, "7", "stay"],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert value(Exposition(tmp_path).render(), "posgate_now") == 7
    finally:
        process.communicate(timeout=10)
    assert value(Exposition(tmp_path).render(), "posgate_now") is None


async def test_made_up_registers_do_not_make_the_metrics_grow() -> None:
    registry = CollectorRegistry()
    skews_s = (-2.0, 0.5, 7.0)
    terminals = tuple(
        Terminal(workstation_id=f"made-up-{n}", heard=NOW, clock_skew=timedelta(seconds=skew_s))
        for n, skew_s in enumerate(skews_s)
    )

    async def look() -> Observations:
        return replace(WELL, terminals=(*terminals, Terminal(workstation_id="new", heard=NOW)))

    await HealthMonitor(look, ControlMetrics(registry)).look()
    text = generate_latest(registry).decode()
    assert 'posgate_terminal_clock_skew_seconds{bound="max"} 7.0' in text
    assert 'posgate_terminal_clock_skew_seconds{bound="min"} -2.0' in text
    assert "made-up" not in text


async def test_a_look_that_fails_ends_nothing_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(monitor, "LOOK_EVERY_S", 0.0)
    looks = 0

    async def look() -> Observations:
        nonlocal looks
        looks += 1
        raise LookupError("a defect")

    watching = HealthMonitor(look, ControlMetrics(CollectorRegistry()))
    task = asyncio.create_task(watching.run())
    await until(lambda: looks >= 3)
    assert not task.done()
    task.cancel()
    assert "a look at the box failed" in caplog.text

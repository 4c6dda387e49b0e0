"""The gateway as it ships: two real processes, killed and stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import grpc
import pytest

from gateway.exits import Exit
from gateway.supervisor import Child, Supervisor
from posgate.v1 import decision_pb2, outcome_pb2
from posgate.v1.decision_pb2_grpc import DecisionServiceStub
from posgate.v1.outcome_pb2_grpc import OutcomeServiceStub
from terminal_client.codec import encode_request
from tests.control.fake_serving import until
from tests.control.store import Store
from tests.control.test_registers import sale
from tests.terminal.rules import basket

PATIENCE_S = 40.0


def get(store: Store, path: str) -> tuple[int, bytes]:
    url = f"http://{store.config.listen.health.target}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status), answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
    except (URLError, ConnectionError, TimeoutError):
        return 0, b""


def ready(store: Store) -> bool:
    return get(store, "/readyz")[0] == 200


def health(store: Store) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(store, "/health.json")[1])
    return found


def posgate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@asynccontextmanager
async def gateway(store: Store) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run ``posgate gateway run`` until the end of the block."""
    log = (store.folder / "log").open("ab")
    command = [sys.executable, "-m", "gateway.cli.main", "gateway", "run"]
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes a moment
        [*command, "--config", str(store.config_file)], stderr=log
    )
    log.close()
    try:
        await until(lambda: ready(store) or process.poll() is not None, PATIENCE_S)
        yield process
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 15)
        finally:
            process.kill()
            process.wait()


def child(process: subprocess.Popen[bytes], role: str) -> int:
    """Return the process id of a supervisor's child."""
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    for pid in map(int, tasks.split()):
        if role in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            return pid
    return 0


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


async def evaluate(
    channel: grpc.aio.Channel, request_id: str
) -> tuple[decision_pb2.EvaluateResponse, bool]:
    request = encode_request(request_id, basket(1), ("promotion_validation",))
    call = DecisionServiceStub(channel).Evaluate(request, timeout=5, wait_for_ready=True)
    answer = await call
    trailing = await call.trailing_metadata()
    return answer, dict(trailing or ()).get("posgate-replayed") == "1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.make(tmp_path)
    store.publish_rules("1.0.0")
    return store


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_gateway_survives_the_death_of_either_process(store: Store) -> None:
    async with (
        gateway(store) as process,
        store.register(store.config.listen.serving.target) as lane,
    ):
        first, replayed = await evaluate(lane, "r1")
        assert not replayed
        assert first.decision_id

        # Control dies: lanes go on, and nothing of what they got is lost.
        os.kill(child(process, "control"), signal.SIGKILL)
        second, _ = await evaluate(lane, "r2")
        await until(lambda: ready(store), PATIENCE_S)
        await until(lambda: health(store)["outbox"][0]["row_count"] >= 2, PATIENCE_S)

        # Serving dies: it comes back with the answers it gave.
        os.kill(child(process, "serving"), signal.SIGKILL)
        again, replayed = await evaluate_until_there(lane, "r1")
        assert replayed
        assert again == first
        await until(lambda: ready(store), PATIENCE_S)

        async with store.register() as control:
            report = sale("o1", outcome_pb2.SALE_END_COMPLETED, "k1")
            await OutcomeServiceStub(control).ReportOutcomes(
                outcome_pb2.ReportOutcomesRequest(reports=[report])
            )
        shown = await asyncio.to_thread(
            posgate, "decision", "show", second.decision_id, "--config", store.config_file
        )
        assert shown.returncode == Exit.OK, shown.stderr
        assert "promotion_validation" in shown.stdout
        await metrics_add_up(store)
        await modes_are_ordered(store)
        serving, control_pid = child(process, "serving"), child(process, "control")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == Exit.OK
        assert gone(serving)
        assert gone(control_pid)
    connection = sqlite3.connect(store.config.paths.database)
    rows = connection.execute("SELECT request_id FROM decisions ORDER BY row_id").fetchall()
    gaps = connection.execute("SELECT COUNT(*) FROM gaps").fetchone()
    connection.close()
    assert rows == [("r1",), ("r2",)]
    assert gaps == (0,)
    assert "Traceback" not in (store.folder / "log").read_text()


async def evaluate_until_there(
    lane: grpc.aio.Channel, request_id: str
) -> tuple[decision_pb2.EvaluateResponse, bool]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await evaluate(lane, request_id)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)


async def metrics_add_up(store: Store) -> None:
    status, raw = await asyncio.to_thread(get, store, "/metrics")
    assert status == 200
    text = raw.decode()
    for name in (
        "posgate_decisions_total{",
        "posgate_build_info{",
        'posgate_outbox_rows{class="decision",stream="decisions"} ',
        "posgate_cert_not_after_timestamp_seconds",
        'grpc_server_handled_total{grpc_code="OK",grpc_method="ReportOutcomes"',
        'grpc_server_handled_total{grpc_code="OK",grpc_method="Evaluate"',
    ):
        assert name in text, name
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) == len(set(families))
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))


async def modes_are_ordered(store: Store) -> None:
    forced = await asyncio.to_thread(
        posgate, "mode", "force", "emergency", "--yes", "--config", store.config_file
    )
    assert forced.returncode == Exit.OK, forced.stderr
    await until(lambda: "OPERATOR_FORCED" in health(store)["degrade_reasons"])
    status = await asyncio.to_thread(posgate, "status", "--config", store.config_file)
    assert status.returncode == Exit.DEGRADED
    assert "OPERATOR_FORCED" in status.stdout
    released = await asyncio.to_thread(posgate, "mode", "release", "--config", store.config_file)
    assert released.returncode == Exit.OK
    await until(lambda: "OPERATOR_FORCED" not in health(store)["degrade_reasons"])


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_killed_supervisor_takes_its_processes_along(store: Store) -> None:
    async with gateway(store) as process:
        pids = [child(process, role) for role in ("serving", "control")]
        assert all(pids)
        process.kill()
        await until(lambda: all(map(gone, pids)), 15)


async def test_a_child_that_ends_is_started_again_after_a_growing_wait(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"open({str(note)!r}, 'a').write('x')"
    ends = Child(name="ends", command=(sys.executable, "-S", "-c", script))
    stays = Child(name="stays", command=(sys.executable, "-S", "-c", "import time; time.sleep(60)"))
    supervisor = Supervisor((ends, stays))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: ends.start_count >= 3)
    assert stays.start_count == 1
    supervisor.stop()
    supervisor.stop()
    await asyncio.wait_for(running, 10)
    assert stays.process is not None
    assert stays.process.returncode == -signal.SIGTERM


async def test_a_child_that_will_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.supervisor.STOP_S", 0.3)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(60)"
    stubborn = Child(name="stubborn", command=(sys.executable, "-S", "-c", script))
    supervisor = Supervisor((stubborn,))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: stubborn.process is not None)
    await asyncio.sleep(0.3)
    supervisor.stop()
    await asyncio.wait_for(running, 10)
    assert stubborn.process is not None
    assert stubborn.process.returncode == -signal.SIGKILL


async def test_a_stop_while_a_child_is_being_started_ends_it() -> None:
    slow = Child(name="slow", command=("sleep", "60"))
    supervisor = Supervisor((slow,))
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert slow.start_count == 0
    supervisor.stop()
    await asyncio.wait_for(running, 5)
    assert slow.process is not None
    assert slow.process.returncode == -signal.SIGTERM


async def test_a_child_that_cannot_be_started_leaves_the_other_running(tmp_path: Path) -> None:
    program = tmp_path / "program"
    absent = Child(name="absent", command=(str(program),))
    stays = Child(name="stays", command=("sleep", "60"))
    supervisor = Supervisor((stays, absent))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: stays.process is not None)
    await asyncio.sleep(0.3)
    assert not running.done()
    program.symlink_to("/bin/true")
    await until(lambda: absent.start_count >= 1)
    assert stays.process is not None
    assert stays.process.returncode is None
    supervisor.stop()
    await asyncio.wait_for(running, 10)
    assert stays.process.returncode == -signal.SIGTERM


def test_what_the_box_keeps_is_its_own(store: Store) -> None:
    paths = store.config.paths
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from gateway.process import _prepare; from cloud_sync.database import Database\n"
        "config = _prepare(Path(sys.argv[1]), 'control')\n"
        "async def make():\n"
        "    async with Database.open(config.paths.database, '367'): pass\n"
        "asyncio.run(make())"
    )
    subprocess.run([sys.executable, "-c", script, store.config_file], check=True, umask=0o022)
    modes = {path: path.stat().st_mode & 0o777 for path in (paths.state_dir, paths.run_dir)}
    assert modes == {paths.state_dir: 0o700, paths.run_dir: 0o750}
    assert paths.database.stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_75_and_said(store: Store) -> None:
    import socket

    at = store.config.listen.control
    with socket.socket() as taken:
        taken.bind((at.host, at.port))
        taken.listen()
        result = posgate("gateway", "control", "--config", store.config_file)
    assert result.returncode == Exit.TRY_LATER
    assert "is taken" in result.stderr
    assert "Traceback" not in result.stderr


def test_another_stores_database_is_6_and_said(store: Store) -> None:
    folder = store.config.paths.state_dir
    folder.mkdir()
    connection = sqlite3.connect(store.config.paths.database)
    connection.close()
    script = (
        "import asyncio, sys; from pathlib import Path; from cloud_sync.database import Database\n"
        "async def make():\n"
        "    async with Database.open(Path(sys.argv[1]), '1'): pass\n"
        "asyncio.run(make())"
    )
    subprocess.run([sys.executable, "-c", script, store.config.paths.database], check=True)
    result = posgate("gateway", "control", "--config", store.config_file)
    assert result.returncode == Exit.VERIFICATION_FAILED
    assert "store 1's" in result.stderr

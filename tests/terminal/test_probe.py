"""``posgate-terminal`` says what a register would see, and its exit status says it too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from posgate.v1 import decision_pb2, terminal_pb2
from terminal_client import probe
from terminal_client.config import GatewayAddress
from tests.terminal.conftest import Store, nowhere
from tests.terminal.garbage import GarbageServer, Nonsense
from tests.terminal.rules import rules_bundle, rules_digest
from tests.trust.trees import Tree


def look(
    capsys: pytest.CaptureFixture[str], store: Store, address: GatewayAddress, *more: str
) -> tuple[int, dict[str, Any]]:
    tls = store.path / "tls"
    doors = ["--gateway", address.serving, "--control", address.control]
    own = ["--ca", f"{tls}/ca.pem", "--cert", f"{tls}/client.pem", "--key", f"{tls}/client.key"]
    arguments = [*doors, *own, "-o", "json", "--workflow", "promotion_validation", *more]
    status = probe.main(arguments)
    return status, json.loads(capsys.readouterr().out)


def full_mode(name: str, answer: Any) -> Any:
    if isinstance(answer, terminal_pb2.HelloResponse):
        answer.mode = decision_pb2.MODE_FULL
        answer.gateway_time.GetCurrentTime()
    return answer


def root(store: Store) -> tuple[str, str]:
    return "--root", str(store.path / "tree/metadata/1.root.json")


def test_a_gateway_that_is_well(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    store.box().control_fault = full_mode
    status, seen = look(capsys, store, store.gateways[0], *root(store), "--budget-ms", "1000")
    assert (status, seen["status"], seen["problems"]) == (0, "ok", [])
    assert {door["state"] for door in seen["tls"].values()} == {"accepted"}
    assert seen["hello"]["store_id"] == "367"
    assert seen["rules"]["digest"] == rules_digest(rules_bundle())
    assert seen["evaluate"]["verdict"] == seen["own_answer"]["verdict"] == "APPROVE"
    assert seen["agrees"] is True


def test_a_basket_from_a_file_is_asked(
    capsys: pytest.CaptureFixture[str], store: Store, tmp_path: Path
) -> None:
    box = store.box()
    box.control_fault = full_mode
    path = tmp_path / "basket.json"
    path.write_text('{"currencyCode": "USD", "lines": [{"lineNumber": 1, "itemId": "milk"}]}')
    status, _ = look(capsys, store, store.gateways[0], "--basket", str(path), "--budget-ms", "1000")
    assert status == 0
    assert box.asked[0].basket.lines[0].item_id == "milk"


def test_a_gateway_in_a_lower_mode_is_degraded(
    capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    def emergency(name: str, answer: Any) -> Any:
        if isinstance(answer, terminal_pb2.HelloResponse):
            answer.mode = decision_pb2.MODE_EMERGENCY
        return answer

    store.box().control_fault = emergency
    status, seen = look(capsys, store, store.gateways[0])
    assert (status, seen["status"]) == (4, "degraded")
    assert "the gateway is in mode emergency" in seen["problems"]


def test_an_answer_unlike_the_rules_is_degraded(
    capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    def cheat(request: Any, answer: bytes, context: Any) -> bytes:
        message = decision_pb2.EvaluateResponse.FromString(answer)
        message.results[0].verdict = decision_pb2.VERDICT_REVIEW
        return message.SerializeToString()

    box = store.box()
    box.control_fault, box.fault = full_mode, cheat
    status, seen = look(capsys, store, store.gateways[0], *root(store), "--budget-ms", "1000")
    assert (status, seen["agrees"]) == (4, False)


def test_nobody_there_is_unreachable(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    status, seen = look(capsys, store, nowhere())
    assert (status, seen["status"]) == (3, "unreachable")
    assert seen["tls"]["serving"]["state"] == "unreachable"
    assert seen["hello"] is None


def test_something_else_there_is_unreachable(
    capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    with GarbageServer(Nonsense.TLS_HTTP1, store.path / "tls") as server:
        status, seen = look(capsys, store, server.address)
    assert (status, seen["tls"]["serving"]["state"]) == (3, "not_grpc")


def test_a_stranger_s_certificate_is_unverified(
    capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    store.box(server="stranger-server")
    status, seen = look(capsys, store, store.gateways[0])
    assert (status, seen["status"]) == (6, "unverified")
    assert seen["tls"]["serving"]["state"] == "rejected"


def test_rules_of_a_stranger_are_unverified(
    capsys: pytest.CaptureFixture[str], store: Store, tmp_path: Path
) -> None:
    stranger = Tree.make(tmp_path / "stranger")
    (tmp_path / "stranger.json").write_bytes(stranger.pinned)
    store.box().control_fault = full_mode
    more = ("--root", str(tmp_path / "stranger.json"), "--budget-ms", "1000")
    status, seen = look(capsys, store, store.gateways[0], *more)
    assert (status, seen["status"]) == (6, "unverified")
    assert "rules: targets has 0 of 2 signatures" in seen["problems"]


@pytest.mark.parametrize(
    "more", [("--basket", "/nowhere.json"), ("--root", "/nowhere.json"), ("--budget-ms", "0")]
)
def test_a_command_line_that_cannot_be_meant_says_so(
    capsys: pytest.CaptureFixture[str], store: Store, more: tuple[str, str]
) -> None:
    store.box()
    tls = store.path / "tls"
    address = store.gateways[0]
    arguments = ["--gateway", address.serving, "--control", address.control]
    arguments += ["--cert", f"{tls}/client.pem", "--key", f"{tls}/client.key"]
    assert probe.main([*arguments, "--ca", str(tls / "ca.pem"), *more]) == 2
    assert "posgate-terminal:" in capsys.readouterr().err


def test_a_missing_argument_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        probe.main([])
    assert caught.value.code == 2


def test_the_text_says_the_same(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    address = nowhere()
    status = probe.main(["--gateway", address.serving, "--control", address.control,
                         "--ca", str(store.path / "tls/ca.pem")])  # fmt: skip
    text = capsys.readouterr().out
    assert status == 3
    assert "status:            unreachable" in text

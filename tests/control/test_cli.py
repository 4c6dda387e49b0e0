"""The command: documented exit statuses, data apart from words, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import main
from gateway.exits import MEANINGS, Exit
from gateway.health.door import json_reply, open_door
from tests.control.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.make(tmp_path)


def posgate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, [str(argument) for argument in arguments])


def test_help_lists_every_exit_status() -> None:
    text = " ".join(posgate("--help").stdout.split())
    for code in MEANINGS:
        assert f"{code.value} " in text
    assert "try again later" in text


def test_a_valid_configuration_is_0(store: Store) -> None:
    result = posgate("config", "check", "--config", store.config_file)
    assert (result.exit_code, result.stdout) == (Exit.OK, "")
    assert "valid" in result.stderr


def test_a_wrong_key_is_2_and_named(store: Store) -> None:
    store.config_file.write_text(store.config_file.read_text().replace("run_dir", "rum_dir"))
    result = posgate("config", "check", "--config", store.config_file)
    assert result.exit_code == Exit.USAGE
    assert f"{store.config_file}: paths.rum_dir: is not a known key" in result.stderr
    as_json = posgate("config", "check", "--config", store.config_file, "-o", "json")
    assert as_json.exit_code == Exit.USAGE
    found = json.loads(as_json.stdout)
    assert (found["valid"], found["key"]) == (False, "paths.rum_dir")


def other_key(store: Store) -> None:
    store.ca.issue_cert("other").private_key_pem.write_to_path(store.folder / "box.key")


def no_certificate(store: Store) -> None:
    (store.folder / "box.pem").unlink()


def no_ca(store: Store) -> None:
    (store.folder / "ca.pem").write_text("nothing")


def forged_root(store: Store) -> None:
    path = store.folder / "root.json"
    path.write_bytes(path.read_bytes().replace(b'"threshold": 2', b'"threshold": 1'))


def no_root(store: Store) -> None:
    (store.folder / "root.json").unlink()


@pytest.mark.parametrize("spoil", [other_key, no_certificate, no_ca, forged_root, no_root])
def test_what_the_file_names_must_verify_or_it_is_6(store: Store, spoil: Any) -> None:
    spoil(store)
    result = posgate("config", "check", "--config", store.config_file)
    assert result.exit_code == Exit.VERIFICATION_FAILED
    assert "next:" in result.stderr
    assert posgate("gateway", "run", "--config", store.config_file).exit_code == result.exit_code


def test_show_prints_values_and_origins(store: Store) -> None:
    result = posgate("config", "show", "--config", store.config_file, "-o", "json")
    found = {row["key"]: row for row in json.loads(result.stdout)}
    assert found["store.store_id"] == {
        "key": "store.store_id", "value": "367", "origin": "file",
    }  # fmt: skip
    assert found["answers.cap_mib"]["origin"] == "default"
    text = posgate("config", "show", "--config", store.config_file)
    assert "answers.cap_mib" in text.stdout


@pytest.mark.parametrize(
    "command",
    [("status",), ("mode", "release"), ("mode", "force", "emergency", "--yes"),
     ("decision", "show", "x")],
)  # fmt: skip
def test_nobody_there_is_3_with_the_next_command(store: Store, command: tuple[str, ...]) -> None:
    result = posgate(*command, "--config", store.config_file)
    assert result.exit_code == Exit.UNREACHABLE
    assert "posgate gateway run" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [("gateway", "run"), ("gateway", "serving"), ("status",)])
def test_no_configuration_is_2(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = posgate(*command, "--config", tmp_path / "nowhere.toml")
    assert result.exit_code == Exit.USAGE
    assert "cannot be read" in result.stderr


def test_forcing_a_mode_asks_or_takes_yes(store: Store) -> None:
    result = posgate("mode", "force", "emergency", "--config", store.config_file)
    assert result.exit_code == Exit.USAGE
    assert "--yes" in result.stderr


def test_an_unknown_command_is_2() -> None:
    assert posgate("gateway", "fly").exit_code == Exit.USAGE
    assert posgate("mode", "force", "loud").exit_code == Exit.USAGE


@pytest.fixture
def routes(store: Store) -> Iterator[dict[tuple[str, str], Any]]:
    answers: dict[tuple[str, str], Any] = {}
    with open_door(store.config.paths.admin_socket, answers):
        yield answers


REPORT: dict[str, Any] = {
    "store_id": "367",
    "mode": "local_only",
    "conditions": [
        {"code": "WAN_DOWN", "about": "", "severity": "warning", "owner": "ops",
         "text": "The cloud cannot be reached.", "remedy": "Nothing stops."}
    ],
    "artifacts": [
        {"kind": "rules", "name": "store", "version": "1.0.0", "digest": "sha256:0123456789",
         "serving": True, "problem": ""}
    ],
    "cloud": {"configured": True, "reachable": False, "last_success_time": None},
    "outbox": [{"stream": "decisions", "row_count": 3}],
    "terminals": [{"state": "silent"}, {"state": "heard"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("health", "code"),
    [("ok", Exit.OK), ("degraded", Exit.DEGRADED), ("unhealthy", Exit.UNHEALTHY)],
)
def test_status_ends_with_the_boxs_health(
    store: Store, routes: dict[tuple[str, str], Any], health: str, code: Exit
) -> None:
    document = REPORT | {"health": health}
    routes["GET", "/health.json"] = lambda rest, body: json_reply(document)
    text = posgate("status", "--config", store.config_file)
    assert text.exit_code == code
    for words in ("WAN_DOWN", "Nothing stops", "01234567", "cloud away", "3 decisions", "1 silent"):
        assert words in text.stdout
    as_json = posgate("status", "--config", store.config_file, "-o", "json")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (code, document)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (json_reply({"state": "forced", "mode": "emergency"}), Exit.OK),
        (json_reply({"error": "serving does not answer"}, 503), Exit.TRY_LATER),
        (json_reply({"error": "no"}, 409), Exit.FAILED),
    ],
)
def test_forcing_a_mode_says_what_became_of_it(
    store: Store, routes: dict[tuple[str, str], Any], reply: Any, code: Exit
) -> None:
    asked: list[bytes] = []

    def mode(rest: str, body: bytes) -> Any:
        asked.append(body)
        return reply

    routes["POST", "/mode"] = mode
    result = posgate("mode", "force", "emergency", "--yes", "--config", store.config_file)
    assert result.exit_code == code
    assert json.loads(asked[0]) == {"mode": "emergency"}
    assert ("forced" in result.stderr) == (code is Exit.OK)


@pytest.mark.parametrize(("status", "code"), [(404, Exit.FAILED), (503, Exit.TRY_LATER)])
def test_a_decision_that_cannot_be_shown_has_its_status(
    store: Store, routes: dict[tuple[str, str], Any], status: int, code: Exit
) -> None:
    routes["GET", "/decisions/"] = lambda rest, body: json_reply({"error": "no"}, status)
    assert posgate("decision", "show", "x", "--config", store.config_file).exit_code == code


def test_a_failure_of_posgate_itself_is_one_line_and_1(
    store: Store,
    routes: dict[tuple[str, str], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    routes["GET", "/health.json"] = lambda rest, body: json_reply({"cloud": 3})
    monkeypatch.setattr("sys.argv", ["posgate", "status", "--config", str(store.config_file)])
    with pytest.raises(SystemExit) as ended:
        main.app()
    assert ended.value.code == Exit.FAILED
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "--debug" in error
    monkeypatch.setattr(
        "sys.argv", ["posgate", "--debug", "status", "--config", str(store.config_file)]
    )
    with pytest.raises(AttributeError):
        main.app()

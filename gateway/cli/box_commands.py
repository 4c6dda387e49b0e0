"""Commands that ask a running gateway: ``status``, ``mode``, ``decision``."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message

from gateway.cli.admin_client import Answer, UnreachableError, ask
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, YesOption, read_config
from gateway.cli.output import Output, OutputOption, fail, say, show_json, show_table
from gateway.exits import Exit
from posgate.v1 import decision_pb2 as pb

mode_app = typer.Typer(no_args_is_help=True, help="Order a mode, or take the order back.")
decision_app = typer.Typer(no_args_is_help=True, help="Look decisions up.")

_HEALTH = {"ok": Exit.OK, "degraded": Exit.DEGRADED, "unhealthy": Exit.UNHEALTHY}


class ModeChoice(StrEnum):
    """The modes that can be ordered."""

    FULL = "full"
    CLOUD_ASSISTED = "cloud_assisted"
    LOCAL_ONLY = "local_only"
    EMERGENCY = "emergency"


def status(config: ConfigOption = DEFAULT_CONFIG, output: OutputOption = Output.TEXT) -> None:
    """Say how the box is, in one screen. Ends with 0, 4 or 5, or 3 if nobody answers."""
    found = _ask(config, "GET", "/health.json").document
    if output is Output.JSON:
        show_json(found)
    else:
        _show_status(found)
    raise typer.Exit(_HEALTH.get(str(found.get("health")), Exit.UNHEALTHY))


@mode_app.command()
def force(
    mode: ModeChoice,
    config: ConfigOption = DEFAULT_CONFIG,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Order a mode for the whole box until it is released or the whole gateway restarts."""
    _confirm(f"every workflow of this box will be decided in mode {mode.value}", yes=yes)
    _order(config, {"mode": mode.value}, output)


@mode_app.command()
def release(config: ConfigOption = DEFAULT_CONFIG, output: OutputOption = Output.TEXT) -> None:
    """Take an order back: the mode follows what is usable again."""
    _order(config, {"mode": None}, output)


@decision_app.command()
def show(
    decision_id: Annotated[str, typer.Argument(help="As in the answer: store-epoch-sequence.")],
    config: ConfigOption = DEFAULT_CONFIG,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show a decision that is on this box's disk, with its request and its answer."""
    answer = _ask(config, "GET", f"/decisions/{quote(decision_id, safe='')}")
    if answer.status == 404:
        fail(Exit.FAILED, f"{decision_id}: {answer.error}", "check the id and the store")
    if answer.status != 200:
        fail(Exit.TRY_LATER, answer.error, "posgate status")
    found: dict[str, Any] = dict(answer.document)
    found["request"] = _message(pb.EvaluateRequest(), found["request"])
    found["response"] = _message(pb.EvaluateResponse(), found["response"])
    if output is Output.JSON:
        show_json(found)
        return
    show_table([(key, str(value)) for key, value in found.items() if not isinstance(value, dict)])
    results = found["response"].get("results", [])
    show_table(
        [("workflow", "verdict", "tier", "mode", "reasons")]
        + [
            (
                str(result.get("workflow", "")),
                str(result.get("verdict", "")).removeprefix("VERDICT_").lower(),
                str(result.get("tier", "")).removeprefix("TIER_").lower(),
                str(result.get("mode", "")).removeprefix("MODE_").lower(),
                " ".join(reason["code"] for reason in result.get("reasons", [])),
            )
            for result in results
        ]
    )


def _ask(config: Path, method: str, target: str, document: object = None) -> Answer:
    socket = read_config(config).paths.admin_socket
    try:
        return ask(socket, method, target, document)
    except UnreachableError as exc:
        fail(Exit.UNREACHABLE, str(exc), f"posgate gateway run --config {config}")


def _order(config: Path, order: Mapping[str, object], output: Output) -> None:
    answer = _ask(config, "POST", "/mode", order)
    if answer.status == 503:
        fail(Exit.TRY_LATER, answer.error, "posgate status")
    if answer.status != 200:
        fail(Exit.FAILED, answer.error, "posgate status")
    if output is Output.JSON:
        show_json(answer.document)
    else:
        say(str(answer.document["state"]))


def _confirm(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        fail(Exit.USAGE, f"{what}, and nobody can be asked", "add --yes")
    say(what)
    typer.confirm("Go on?", abort=True, err=True)


def _message(message: Message, encoded: object) -> Any:
    try:
        message.ParseFromString(base64.b64decode(str(encoded)))
    except DecodeError:
        return {}
    return MessageToDict(message, preserving_proto_field_name=True)


def _show_status(found: Mapping[str, Any]) -> None:
    mode = found.get("mode") or "none"
    print(f"store {found.get('store_id')}  {found.get('health')}  mode {mode}")
    for condition in _list(found, "conditions"):
        about = f" {condition['about']}" if condition["about"] else ""
        print(f"  {condition['severity']:7}  {condition['code']}{about}: {condition['text']}")
        print(f"           {condition['owner']}: {condition['remedy']}")
    show_table(_artifact_rows(_list(found, "artifacts")))
    cloud = found.get("cloud") or {}
    reachable = {True: "reachable", False: "away", None: "not tried"}[cloud.get("reachable")]
    last = cloud.get("last_success_time") or "never"
    print(f"cloud {reachable}, last seen {last}" if cloud.get("configured") else "cloud none")
    outbox = _list(found, "outbox")
    print("outbox " + ", ".join(f"{one['row_count']} {one['stream']}" for one in outbox))
    terminals = _list(found, "terminals")
    silent = sum(terminal["state"] == "silent" for terminal in terminals)
    print(f"registers {len(terminals)}, {silent} silent")


def _artifact_rows(artifacts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for artifact in artifacts:
        yield (
            str(artifact["kind"]),
            str(artifact["name"]),
            str(artifact["version"]),
            str(artifact["digest"])[7:15],
            "serving" if artifact["serving"] else "not serving",
            str(artifact["problem"]),
        )


def _list(found: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = found.get(key)
    return value if isinstance(value, list) else []

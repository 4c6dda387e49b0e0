"""``posgate-terminal``: shows what a register would see of a gateway.

One look, nothing kept: TLS at both doors, the box's introduction, the signed rules (when a root
is given to check them with), one question with its timing, the register's own answer, and
whether both agree. Data goes to stdout; ``-o json`` is a contract: fields are added, never
changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.json_format import Parse, ParseError

from posgate.v1 import basket_pb2, bundle_pb2, bundle_pb2_grpc, terminal_pb2, terminal_pb2_grpc
from terminal_client.bundle_cache import BundleCache
from terminal_client.bundle_download import DownloadError, download
from terminal_client.channel import GatewayLink
from terminal_client.codec import RequestError, basket_from_pb
from terminal_client.config import GatewayAddress, TerminalConfig, TlsConfig, TrustConfig
from terminal_client.core.basket import Basket
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode
from terminal_client.core.reading import DocumentError
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.trust import Evidence
from terminal_client.core.trust_errors import TrustError
from terminal_client.errors import ConfigError
from terminal_client.own_answer import OwnAnswer, OwnDecider, agreement
from terminal_client.probe_report import (
    DEGRADED,
    OK,
    UNREACHABLE,
    UNVERIFIED,
    USAGE,
    Findings,
    as_json,
    as_text,
)
from terminal_client.question import Question, prepare
from terminal_client.tls import TlsState, probe
from terminal_client.version import CLIENT_VERSION

_EPILOG = """exit status:
  0  the gateway answers in full mode, in time
  2  the command line or a file it names cannot be used
  3  the gateway cannot be reached
  4  it answers, but not fully: a lower mode, an error, too late, or unlike the signed rules
  6  a certificate or the signed rules do not pass verification
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        findings = _look(options)
    except (ConfigError, RequestError, OSError, ParseError, UnicodeDecodeError) as error:
        print(f"posgate-terminal: {error}", file=sys.stderr)
        return USAGE
    print(as_json(findings) if options.output == "json" else as_text(findings))
    return findings.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="posgate-terminal",
        description="Show what a register would see of a gateway.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--gateway", required=True, metavar="HOST:PORT", help="the serving door")
    add("--control", required=True, metavar="HOST:PORT", help="the control door")
    add("--ca", required=True, type=Path, help="CA of the gateway's certificate (PEM)")
    add("--cert", type=Path, help="this register's certificate (PEM)")
    add("--key", type=Path, help="its key (PEM)")
    add("--server-name", default="", help="name in the gateway's certificate, if not HOST")
    add("--root", type=Path, help="pinned root: check the signed rules and answer alone, too")
    add("--ring", default="fleet", help="the store's ring (default: fleet)")
    add("--workstation", default="posgate-terminal", help="introduce as this workstation")
    add("--basket", type=Path, help="a posgate.v1.Basket in proto-JSON (default: an empty one)")
    add("--workflow", action="append", help="ask this one (repeat; default: all it answers)")
    add("--budget-ms", type=int, default=150, help="budget of the question (default: 150)")
    add("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    return parser


def _look(options: argparse.Namespace) -> Findings:
    findings = Findings(gateway=options.gateway, control=options.control)
    basket = _read_basket(options.basket)
    with tempfile.TemporaryDirectory(prefix="posgate-terminal-") as folder:
        config = _config(options, Path(folder))
        config.check("the command line")
        link = GatewayLink(config.gateways[0], config, time.monotonic)
        try:
            if not _look_at_tls(config, findings):
                return findings
            workflows = _greet(link, config, findings)
            bundle = _look_at_rules(link, config, findings) if options.root else None
            _ask(link, config, basket, options.workflow or workflows, bundle, findings)
        finally:
            link.close()
    return findings


def _config(options: argparse.Namespace, folder: Path) -> TerminalConfig:
    return TerminalConfig(
        workstation_id=options.workstation,
        gateways=(GatewayAddress(serving=options.gateway, control=options.control),),
        tls=TlsConfig(
            ca=options.ca,
            certificate=options.cert,
            key=options.key,
            server_name=options.server_name,
        ),
        trust=TrustConfig(root=options.root or folder / "none", ring=options.ring),
        state_dir=folder,
        default_budget=timedelta(milliseconds=options.budget_ms),
    )


def _read_basket(path: Path | None) -> Basket:
    if path is None:
        return Basket()
    return basket_from_pb(Parse(path.read_text(encoding="utf-8"), basket_pb2.Basket()))


def _look_at_tls(config: TerminalConfig, findings: Findings) -> bool:
    address = config.gateways[0]
    for door, target in (("serving", address.serving), ("control", address.control)):
        began = time.monotonic()
        found = probe(target, config.tls, config.upkeep.call_timeout_s)
        findings.tls[door] = {
            "state": found.state.value,
            "detail": found.detail,
            "protocol": found.protocol,
            "took_ms": f"{(time.monotonic() - began) * 1000:.1f}",
        }
        if found.state is TlsState.REJECTED:
            findings.found(UNVERIFIED, f"{door}: TLS: {found.detail}")
        elif found.state is not TlsState.ACCEPTED:
            findings.found(UNREACHABLE, f"{door}: {found.detail or found.state.value}")
    return findings.exit_status == OK


def _greet(link: GatewayLink, config: TerminalConfig, findings: Findings) -> list[str]:
    request = terminal_pb2.HelloRequest(
        workstation_id=config.workstation_id, client_version=CLIENT_VERSION
    )
    request.terminal_time.GetCurrentTime()
    try:
        answer = terminal_pb2_grpc.TerminalServiceStub(link.control).Hello(
            request, timeout=config.upkeep.call_timeout_s
        )
    except grpc.RpcError as error:
        findings.found(DEGRADED, f"Hello: {error.code().name}: {error.details()}")
        return []
    skew = datetime.now(UTC) - answer.gateway_time.ToDatetime(tzinfo=UTC)
    known = answer.mode in {mode.value for mode in Mode}
    mode = Mode(answer.mode).name.lower() if known else f"unknown ({answer.mode})"
    findings.hello = {
        "store_id": answer.store_id,
        "time_zone": answer.time_zone,
        "mode": mode,
        "clock_skew_ms": round(skew / timedelta(milliseconds=1), 1),
        "fallback_digest": answer.fallback_digest,
        "workflows": list(answer.workflows),
        "capabilities": list(answer.capabilities),
        "endpoints": [endpoint.target for endpoint in answer.endpoints],
    }
    if not known or Mode(answer.mode) is not Mode.FULL:
        findings.found(DEGRADED, f"the gateway is in mode {mode}")
    return list(answer.workflows)


def _look_at_rules(
    link: GatewayLink, config: TerminalConfig, findings: Findings
) -> FallbackBundle | None:
    timeout_s = config.upkeep.call_timeout_s
    cache = BundleCache.open(config.state_dir / "bundles", config.trust)
    stub = bundle_pb2_grpc.BundleServiceStub(link.control)
    try:
        trust = stub.GetTrust(
            bundle_pb2.GetTrustRequest(known_root_version=cache.root_version), timeout=timeout_s
        )
        offered = Evidence(
            roots=(), delegation=trust.delegation, release=trust.release, pointer=trust.pointer
        )
        evidence, trusted = cache.check(tuple(trust.roots), offered)
        raw = download(link.control, trusted.release, cache.partial(trusted), timeout_s)
        if raw is None:
            findings.found(DEGRADED, "the rules take more than a minute to come")
            return None
        cache.install(evidence, trusted, raw)
    except (TrustError, DocumentError) as error:
        findings.found(UNVERIFIED, f"rules: {error}")
        return None
    except (grpc.RpcError, DownloadError) as error:
        findings.found(DEGRADED, f"rules: {error}")
        return None
    bundle = cache.for_pin(b"", datetime.now(UTC))
    findings.rules = {
        **asdict(trusted.release),
        "counter": trusted.counter,
        "expired": list(trusted.expired(datetime.now(UTC))),
    }
    return bundle


def _ask(
    link: GatewayLink,
    config: TerminalConfig,
    basket: Basket,
    workflows: Sequence[str],
    bundle: FallbackBundle | None,
    findings: Findings,
) -> None:
    question = prepare(basket, workflows, config.default_budget, b"", datetime.now(UTC))
    if not question.sendable:
        findings.found(DEGRADED, f"not asked: {question.notices[-1].detail}")
        return
    own = _own(question, bundle, findings)
    payload = question.message.SerializeToString() if question.message else b""
    # The first call waits for the connection; the second is what a lane sees.
    link.ask(payload, question.read, "", config.upkeep.call_timeout_s)
    again = prepare(basket, workflows, config.default_budget, b"", question.at)
    payload = again.message.SerializeToString() if again.message else b""
    began = time.monotonic()
    reply = link.ask(payload, again.read, "", config.default_budget.total_seconds())
    took_ms = round((time.monotonic() - began) * 1000, 2)
    if reply.decision is None:
        reason = reply.reason.name if reply.reason else ""
        findings.evaluate = {"took_ms": took_ms, "fallback_reason": reason, "detail": reply.detail}
        findings.found(DEGRADED, f"Evaluate: {reason}: {reply.detail}")
        return
    decision = reply.decision
    findings.evaluate = {
        "took_ms": took_ms,
        "box_ms": round(decision.total / timedelta(milliseconds=1), 2),
        "verdict": decision.verdict.name,
        "mode": decision.mode.name.lower(),
        "decision_id": decision.decision_id,
        "workflows": {
            result.workflow: {
                "verdict": result.verdict.name,
                "tier": result.tier.name.lower(),
                "place": result.place.name.lower(),
                "reasons": [reason.code for reason in result.reasons],
            }
            for result in decision.results
        },
    }
    findings.agrees = agreement(own, decision) if own else None
    if findings.agrees is False:
        findings.found(DEGRADED, "the gateway's answer is not that of the signed rules")


def _own(question: Question, bundle: FallbackBundle | None, findings: Findings) -> OwnAnswer | None:
    if bundle is None:
        return None
    decider = OwnDecider(lambda _: bundle, RedemptionView)
    try:
        own = decider.start(question).result()
    finally:
        decider.close()
    findings.own_answer = {
        "took_ms": own.spent_us / 1000,
        "verdict": own.verdict.name,
        "workflows": {result.workflow: result.verdict.name for result in own.results},
    }
    return own


if __name__ == "__main__":
    sys.exit(main())

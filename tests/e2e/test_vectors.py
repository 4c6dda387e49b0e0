"""Every published vector through a real gateway in emergency, and through a register alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from cloud_sync.publisher.repository import Repository
from examples.complete_journey.demo.pki import Authority, Identity
from examples.complete_journey.demo.publishing import RING
from posgate.box.v1 import serving_pb2, serving_pb2_grpc
from posgate.v1 import bundle_pb2, decision_pb2
from terminal_client.bundle_cache import BundleCache
from terminal_client.client import TerminalClient
from terminal_client.core.decision import Decision, Place, WorkflowResult, projection
from terminal_client.core.fallback import digest_of
from terminal_client.core.modes import Mode
from terminal_client.core.trust import Evidence
from terminal_client.redemption_ledger import FeedChanges
from tests.e2e.asking import Caller, calling
from tests.e2e.box import Box, closed_door
from tests.e2e.vector_cases import RULES_NAME, WORKFLOW, VectorCase, vector_cases

CASES = vector_cases()
BUDGET = timedelta(seconds=2)
_ORDER_S = 10.0


@dataclass(frozen=True, kw_only=True)
class SignedCases:
    """A ring whose rules change with every case: one release and one pointer at a time."""

    repository: Repository

    def evidence(self, case: VectorCase) -> Evidence:
        """Sign the case's bundle, as a desk would that publishes and promotes it."""
        version, digest = f"1.{case.number}.0", digest_of(case.bundle)
        release = TargetFile.from_data(
            f"rules/{RULES_NAME}/{version}.bundle", case.bundle, ["sha256"]
        )
        release.unrecognized_fields["custom"] = {
            "kind": "rules",
            "name": RULES_NAME,
            "version": version,
            "as_of": datetime.now(UTC).isoformat(),
        }
        pointer = TargetFile.from_data(f"rings/{RING}/rules/{RULES_NAME}.json", b"{}", ["sha256"])
        pointer.unrecognized_fields["custom"] = {
            "counter": case.number,
            "digest": digest,
            "version": version,
        }
        metadata = self.repository.path / "metadata"
        return Evidence(
            roots=(),
            delegation=(metadata / "targets.json").read_bytes(),
            release=self._signed("rules", release),
            pointer=self._signed(RING, pointer),
        )

    def _signed(self, role: str, target: TargetFile) -> bytes:
        document = Metadata[Targets].from_file(
            str(self.repository.path / "metadata" / f"{role}.json")
        )
        document.signed.targets = {target.path: target}
        document.signatures.clear()
        for signer in self.repository.keys.signers(role):
            document.sign(signer)
        return document.to_bytes()


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A register that nobody answers; its rules and its ledger are set case by case."""

    client: TerminalClient
    cache: BundleCache
    signed: SignedCases

    def answer(self, case: VectorCase) -> Decision:
        evidence, trusted = self.cache.check((), self.signed.evidence(case))
        self.cache.install(evidence, trusted, case.bundle)
        ledger = self.client._state.ledger
        assert ledger is not None
        ledger.take_feed(
            FeedChanges(
                reset=True,
                changes=tuple((key, True) for key in case.redeemed),
                next_cursor=case.number,
                as_of=case.view_as_of,
            )
        )
        return self.client.evaluate(case.basket, [WORKFLOW], budget=BUDGET)


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A serving process that is driven as control drives it."""

    folder: Path
    caller: Caller
    orders: serving_pb2_grpc.ServingControlServiceStub

    def answer(self, case: VectorCase) -> Decision:
        before = self._flip_to(case)
        view = serving_pb2.PutRedemptionsRequest(
            reset=True,
            changes=[
                bundle_pb2.RedemptionChange(redemption_key=key, redeemed=True)
                for key in case.redeemed
            ],
            cursor=case.number,
        )
        if case.view_as_of is not None:
            view.as_of_time.FromDatetime(case.view_as_of)
        self.orders.PutRedemptions(view, timeout=_ORDER_S)
        if before:
            self.orders.Unload(serving_pb2.UnloadRequest(digest=before), timeout=_ORDER_S)
        return self.caller.decide(case.basket, [WORKFLOW])

    def _flip_to(self, case: VectorCase) -> str:
        path, digest = self.folder / f"{case.number}.bundle", digest_of(case.bundle)
        path.write_bytes(case.bundle)
        artifact = serving_pb2.ServedArtifact(
            kind="rules", name=RULES_NAME, version=f"1.{case.number}.0", digest=digest
        )
        stage = serving_pb2.StageRequest(artifact=artifact, path=str(path))
        self.orders.Stage(stage, timeout=_ORDER_S)
        self.orders.Canary(serving_pb2.CanaryRequest(digest=digest), timeout=_ORDER_S)
        flipped = self.orders.Flip(serving_pb2.FlipRequest(digest=digest), timeout=_ORDER_S)
        return flipped.previous_digest


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def lane_identity(authority: Authority) -> Identity:
    return authority.issue("lane")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> SignedCases:
    folder = tmp_path_factory.mktemp("cloud")
    now = datetime.now(UTC)
    return SignedCases(repository=Repository.init(folder / "tree", folder / "keys", now=now))


@pytest.fixture(scope="module")
def box(
    authority: Authority, signed: SignedCases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    box = Box(
        folder=tmp_path_factory.mktemp("box"), authority=authority, root=signed.repository.root
    )
    box.start("serving")
    box.wait_for(lambda seen: bool(seen.epoch), "serving")
    yield box
    box.stop()


@pytest.fixture(scope="module")
def gateway(
    box: Box,
    lane_identity: Identity,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    ca = authority.ca.read_bytes()
    with box.orders() as orders, calling(box.serving, box.control, ca, lane_identity) as caller:
        orders.PutRecentAnswers(serving_pb2.PutRecentAnswersRequest(complete=True))
        orders.ForceMode(
            serving_pb2.ForceModeRequest(mode=decision_pb2.MODE_EMERGENCY, reason="DRILL")
        )
        yield Gateway(folder=tmp_path_factory.mktemp("staged"), caller=caller, orders=orders)


@pytest.fixture(scope="module")
def lane(
    box: Box, lane_identity: Identity, signed: SignedCases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lane]:
    nobody = closed_door()
    folder = tmp_path_factory.mktemp("lane")
    config = box.terminal(folder, lane_identity, serving=nobody, control=nobody)
    with TerminalClient.open(config) as client:
        yield Lane(client=client, cache=client._state.cache, signed=signed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_comes_out_as_published_at_the_gateway_and_at_a_register_alone(
    case: VectorCase, gateway: Gateway, lane: Lane
) -> None:
    there, here = gateway.answer(case), lane.answer(case)
    (theirs,), (own,) = there.results, here.results
    case.check(theirs)
    case.check(own)
    assert projection(own) == projection(theirs)
    assert there.verdict == here.verdict
    assert (theirs.place, theirs.mode) == (Place.GATEWAY, Mode.EMERGENCY)
    assert own.place is Place.TERMINAL
    digest = digest_of(case.bundle)
    assert [a.digest for a in (*there.artifacts, *here.artifacts)] == [digest, digest]


def test_no_family_of_vectors_is_left_out() -> None:
    assert len(CASES) >= 300
    assert {case.name.partition("-")[0] for case in CASES} == {"promotions", "coupons"}


def test_a_wrong_answer_would_be_noticed() -> None:
    empty = WorkflowResult(workflow=WORKFLOW)
    noticed = 0
    for case in CASES:
        try:
            case.check(replace(empty))
        except AssertionError:
            noticed += 1
    assert noticed >= 0.8 * len(CASES)

"""A caller that speaks the contract itself, without the terminal client between."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from examples.complete_journey.demo.pki import Identity
from posgate.v1 import decision_pb2
from terminal_client.codec import decision_from_pb, encode_request
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision

EVALUATE = "/posgate.v1.DecisionService/Evaluate"
_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a call was refused; ``info`` is None when the status carries no ErrorInfo."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo | None


class Caller:
    """Calls a box's serving and control doors."""

    def __init__(self, serving: grpc.Channel, control: grpc.Channel) -> None:
        self.serving = serving
        self.control = control
        self._evaluate: grpc.UnaryUnaryMultiCallable[bytes, bytes] = serving.unary_unary(EVALUATE)

    def evaluate(self, raw: bytes, timeout_s: float = 10.0) -> bytes:
        """Send bytes, return bytes. Raises: grpc.RpcError."""
        return self._evaluate(raw, timeout=timeout_s)

    def decide(self, basket: Basket | None, workflows: Sequence[str]) -> Decision:
        """Ask about a basket. Raises: grpc.RpcError."""
        request = encode_request(str(uuid.uuid4()), basket, workflows)
        raw = self.evaluate(request.SerializeToString())
        return decision_from_pb(decision_pb2.EvaluateResponse.FromString(raw))


@contextmanager
def calling(serving: str, control: str, ca: bytes, identity: Identity) -> Iterator[Caller]:
    """Open both doors with a client certificate."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ca,
        private_key=identity.key.read_bytes(),
        certificate_chain=identity.certificate.read_bytes(),
    )
    options = [
        ("grpc.ssl_target_name_override", "gateway"),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_send_message_length", -1),
    ]
    with (
        grpc.secure_channel(serving, credentials, options) as first,
        grpc.secure_channel(control, credentials, options) as second,
    ):
        yield Caller(first, second)


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Read a failed call as a register would."""
    info: error_details_pb2.ErrorInfo | None = None
    # Pairs, whatever the stubs say.
    metadata = cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == _DETAILS:
            for detail in status_pb2.Status.FromString(value).details:
                found = error_details_pb2.ErrorInfo()
                if detail.Unpack(found):
                    info = found
    return Refusal(code=error.code(), message=error.details() or "", info=info)

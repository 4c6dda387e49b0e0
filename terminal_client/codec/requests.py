"""``posgate.v1.EvaluateRequest``: what a terminal asks, read and written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from posgate.v1 import decision_pb2 as pb
from terminal_client.codec.basket_reader import basket_from_pb, redact
from terminal_client.codec.basket_writer import basket_to_pb
from terminal_client.codec.card_numbers import holds_card_number
from terminal_client.codec.request_error import RequestError
from terminal_client.core.basket import Basket

MAX_WORKFLOWS = 16
LONGEST_BUDGET = timedelta(seconds=60)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_WORKFLOW = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRequest:
    """A valid request. ``redacted_count`` fields were blanked, in ``message`` too."""

    request_id: str
    basket: Basket | None
    workflows: tuple[str, ...]
    budget: timedelta | None
    client_version: str
    redacted_count: int
    message: pb.EvaluateRequest


def decode_request(message: pb.EvaluateRequest) -> DecodedRequest:
    """Validate ``message``; blanks in place what may be a card number.

    Raises:
        RequestError: a field is malformed; names field and remedy.
    """
    if not _REQUEST_ID.match(message.request_id):
        raise RequestError("request_id", "is malformed", "send 1 to 64 of [A-Za-z0-9._-]")
    if holds_card_number(message.request_id):
        raise RequestError("request_id", "may be a card number", "send a UUID")
    if len(message.client_version) > 64:
        raise RequestError("client_version", "is too long", "send at most 64 characters")
    redacted_count = redact(message.basket) if message.HasField("basket") else 0
    if holds_card_number(message.client_version):
        message.client_version = ""
        redacted_count += 1
    return DecodedRequest(
        request_id=message.request_id,
        basket=basket_from_pb(message.basket) if message.HasField("basket") else None,
        workflows=_workflows(message.workflows),
        budget=_budget(message),
        client_version=message.client_version,
        redacted_count=redacted_count,
        message=message,
    )


def encode_request(
    request_id: str,
    basket: Basket | None,
    workflows: Sequence[str],
    budget: timedelta | None = None,
    client_version: str = "",
) -> pb.EvaluateRequest:
    """Return the message that asks ``workflows`` about ``basket``."""
    message = pb.EvaluateRequest(
        request_id=request_id,
        basket=None if basket is None else basket_to_pb(basket),
        workflows=workflows,
        client_version=client_version,
    )
    if budget is not None:
        message.budget.FromTimedelta(budget)
    return message


def _workflows(names: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(names) <= MAX_WORKFLOWS:
        raise RequestError("workflows", f"has {len(names)} entries", f"ask 1 to {MAX_WORKFLOWS}")
    for i, name in enumerate(names):
        if not _WORKFLOW.match(name):
            raise RequestError(f"workflows[{i}]", "is no name", "use [a-z][a-z0-9_]*")
        if name in names[:i]:
            raise RequestError(f"workflows[{i}]", "is a duplicate", "ask each workflow once")
    return tuple(names)


def _budget(message: pb.EvaluateRequest) -> timedelta | None:
    if not message.HasField("budget"):
        return None
    seconds, nanos = message.budget.seconds, message.budget.nanos
    if not 0 <= seconds <= 60 or not 0 <= nanos < 10**9:
        raise RequestError("budget", "is out of range", "send more than 0 and at most 60 s")
    budget = timedelta(seconds=seconds, microseconds=nanos // 1000)
    if not timedelta(0) < budget <= LONGEST_BUDGET:
        raise RequestError("budget", "is out of range", "send more than 0 and at most 60 s")
    return budget

"""One question: what a register asks, made ready to be sent and to be answered alone.

Owns the care taken before anything is sent: tokens that may be card numbers are blanked, the
clock is set where the POS set none, so that gateway and terminal judge the same basket at the
same time. A question that no gateway would take is still answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from google.protobuf.message import DecodeError

from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import (
    AnswerError,
    RequestError,
    decision_from_pb,
    decode_request,
    encode_request,
)
from terminal_client.codec.basket_reader import redact
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, Reason
from terminal_client.core.store_time import time_of_record
from terminal_client.redaction import redacted
from terminal_client.request_ids import new_request_id
from terminal_client.version import CLIENT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``message`` is None when the question cannot be written down at all.

    ``sendable``: a gateway would take it. ``at`` is the time of record.
    """

    request_id: str
    basket: Basket | None
    workflows: tuple[str, ...]
    budget: timedelta
    at: datetime
    message: pb.EvaluateRequest | None
    sendable: bool
    notices: tuple[Reason, ...]

    @property
    def basket_key(self) -> str:
        """What stays the same through the sale; empty: nothing does."""
        return basket_key(self.basket)

    def read(self, payload: bytes) -> Decision:
        """Return the decision in ``payload``.

        Raises: AnswerError: it is not an answer to this question, or not to be understood.
        """
        try:
            message = pb.EvaluateResponse.FromString(payload)
        except DecodeError as error:
            raise AnswerError("answer", "is no EvaluateResponse") from error
        decision = decision_from_pb(message)
        if decision.request_id != self.request_id:
            raise AnswerError("request_id", "is another request's")
        if decision.basket_revision != (self.basket.basket_revision if self.basket else 0):
            raise AnswerError("basket_revision", "is another basket's")
        if tuple(result.workflow for result in decision.results) != self.workflows:
            raise AnswerError("results", "are not those that were asked for")
        return decision


def basket_key(basket: Basket | None) -> str:
    """Return ``basket_id``, or the POSLog key when there is none; empty: neither is set."""
    if basket is None:
        return ""
    ref = basket.transaction
    if ref.basket_id:
        return ref.basket_id
    parts = (ref.store_id, ref.workstation_id, ref.business_day_date, str(ref.sequence_number))
    return "/".join(parts) if any(parts[:3]) else ""


def prepare(
    basket: object, workflows: Sequence[str], budget: timedelta, pin: bytes, now: datetime
) -> Question:
    """Return the question; never raises for anything a register may pass.

    ``pin`` is sent when the basket has none of its own.
    """
    names = (workflows,) if isinstance(workflows, str) else tuple(map(str, workflows))
    stamped, problem = _stamped(basket, pin, now)
    message: pb.EvaluateRequest | None = None
    notices: list[Reason] = []
    request_id = new_request_id()
    if not problem:
        try:
            message = encode_request(request_id, stamped, names, budget, CLIENT_VERSION)
            decoded = decode_request(message)
        except RequestError as error:
            problem = str(error)
            message, stamped, blanked = _kept_clean(message, stamped)
            if blanked:
                notices.append(Reason(code="CARD_NUMBER_REDACTED"))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            message, problem = None, f"cannot be written down: {error}"
        else:
            stamped = decoded.basket
            if decoded.redacted_count:
                notices.append(Reason(code="CARD_NUMBER_REDACTED"))
    if problem:
        notices.append(Reason(code="INVALID_REQUEST", detail=problem[:256]))
    return Question(
        request_id=request_id,
        basket=stamped,
        workflows=names,
        budget=budget,
        at=time_of_record(stamped, now),
        message=message,
        sendable=not problem,
        notices=tuple(notices),
    )


def _kept_clean(
    message: pb.EvaluateRequest | None, basket: Basket | None
) -> tuple[pb.EvaluateRequest | None, Basket | None, bool]:
    """Return a refused question as it may be kept, and whether anything was blanked in it."""
    if message is None or basket is None:
        return message, basket, False
    try:
        redact(message.basket)
    except RequestError:
        # A text too long to be searched: such a question is written down nowhere.
        return None, basket, False
    clean = redacted(basket, message.basket)
    return message, clean, clean != basket


def _stamped(basket: object, pin: bytes, now: datetime) -> tuple[Basket | None, str]:
    if basket is None:
        return None, ""
    if not isinstance(basket, Basket):
        return None, f"basket is a {type(basket).__name__}; pass a Basket or None"
    return replace(
        basket,
        terminal_time=basket.terminal_time or now,
        basket_pin=basket.basket_pin or pin,
    ), ""

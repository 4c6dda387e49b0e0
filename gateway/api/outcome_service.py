"""OutcomeService: takes what became known after a decision, durably."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import grpc

from cloud_sync.errors import StoreUnavailableError
from cloud_sync.records import OutcomeRecord, OutcomeStatus, SaleEnd
from gateway.api import statuses
from gateway.sale_facts import sale_key
from posgate.v1 import basket_pb2
from posgate.v1 import outcome_pb2 as pb
from posgate.v1.outcome_pb2_grpc import OutcomeServiceServicer
from terminal_client.codec import RequestError, basket_from_pb
from terminal_client.codec.basket_reader import instant_from_pb, redact
from terminal_client.codec.card_numbers import holds_card_number

Context = grpc.aio.ServicerContext[Any, Any]

MAX_REPORTS = 256
MAX_KEYS = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_ENDS = {
    pb.SALE_END_COMPLETED: SaleEnd.COMPLETED,
    pb.SALE_END_ABANDONED: SaleEnd.ABANDONED,
    pb.SALE_END_VOIDED: SaleEnd.VOIDED,
    pb.SALE_END_RETURNED: SaleEnd.RETURNED,
}
_STATUSES = {
    OutcomeStatus.ACCEPTED: pb.REPORT_STATUS_ACCEPTED,
    OutcomeStatus.DUPLICATE: pb.REPORT_STATUS_DUPLICATE,
    OutcomeStatus.CONFLICT: pb.REPORT_STATUS_REJECTED,
}
_CONFLICT = "request_id names another report that is on disk; give this one its own"


class Outcomes(Protocol):
    """Where outcomes go: the inbox."""

    async def accept_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> list[OutcomeStatus]:
        """Store outcomes durably, one status each."""
        ...


class OutcomeService(OutcomeServiceServicer):
    """Translates; the inbox stores."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    async def ReportOutcomes(  # noqa: N802 - the contract's name
        self, request: pb.ReportOutcomesRequest, context: Context
    ) -> pb.ReportOutcomesResponse:
        """Store every report that can be read; the others are rejected one by one."""
        if not 1 <= len(request.reports) <= MAX_REPORTS:
            problem = f"has {len(request.reports)} entries"
            remedy = f"send 1 to {MAX_REPORTS}"
            await statuses.abort(context, statuses.bad_field("reports", problem, remedy))
        readings = [_read(report) for report in request.reports]
        records = [reading for reading in readings if isinstance(reading, OutcomeRecord)]
        try:
            settled = iter(await self._outcomes.accept_outcomes(records) if records else [])
        except StoreUnavailableError:
            await statuses.abort(context, statuses.disk_refuses())
        results = []
        for report, reading in zip(request.reports, readings, strict=True):
            if isinstance(reading, OutcomeRecord):
                status = next(settled)
                reason = _CONFLICT if status is OutcomeStatus.CONFLICT else ""
                results.append(_result(report, _STATUSES[status], reason))
            else:
                results.append(_result(report, pb.REPORT_STATUS_REJECTED, str(reading)))
        return pb.ReportOutcomesResponse(results=results)


def _result(
    report: pb.OutcomeReport, status: pb.ReportStatus.ValueType, reason: str
) -> pb.ReportResult:
    return pb.ReportResult(request_id=report.request_id[:64], status=status, reason=reason)


def _read(report: pb.OutcomeReport) -> OutcomeRecord | RequestError:
    try:
        return _record(report)
    except RequestError as error:
        return error


def _record(report: pb.OutcomeReport) -> OutcomeRecord:
    if not _REQUEST_ID.match(report.request_id):
        raise RequestError("request_id", "is malformed", "send 1 to 64 of [A-Za-z0-9._-]")
    if len(report.decision_id) > 128:
        raise RequestError("decision_id", "is too long", "send the answer's")
    holder = basket_pb2.Basket(transaction=report.transaction)
    redact(holder)
    report.transaction.CopyFrom(holder.transaction)
    transaction = basket_from_pb(holder, "").transaction
    if not report.HasField("event_time"):
        raise RequestError("event_time", "is missing", "send when it happened")
    event = instant_from_pb(report.event_time, "event_time")
    end, keys, revision = SaleEnd.REVIEW, tuple[str, ...](), 0
    if report.WhichOneof("outcome") == "sale":
        end, keys, revision = _sale(report.sale)
        if not transaction.workstation_id or not transaction.business_day_date:
            raise RequestError(
                "transaction", "does not name a sale", "send workstation, business day and number"
            )
    elif report.WhichOneof("outcome") == "review":
        _check_review(report.review)
    else:
        raise RequestError("outcome", "is missing", "send sale or review")
    return OutcomeRecord(
        request_id=report.request_id,
        decision_id=report.decision_id,
        sale_key=sale_key(transaction),
        end=end,
        final_revision=revision,
        event=event,
        body=report.SerializeToString(deterministic=True),
        redemption_keys=keys,
    )


def _sale(sale: pb.SaleOutcome) -> tuple[SaleEnd, tuple[str, ...], int]:
    if sale.end not in _ENDS:
        raise RequestError("sale.end", "is not a way a sale ends", "send one of SaleEnd")
    if len(sale.redemption_keys) > MAX_KEYS:
        problem = f"has {len(sale.redemption_keys)} entries"
        raise RequestError("sale.redemption_keys", problem, f"send at most {MAX_KEYS}")
    for i, key in enumerate(sale.redemption_keys):
        if not 1 <= len(key) <= 64:
            raise RequestError(
                f"sale.redemption_keys[{i}]", "is no key", "send OfferResult.redemption_key"
            )
    if not 0 <= sale.final_basket_revision < 2**53:
        raise RequestError("sale.final_basket_revision", "is out of range", "send the one paid")
    return _ENDS[sale.end], tuple(sale.redemption_keys), sale.final_basket_revision


def _check_review(review: pb.ReviewOutcome) -> None:
    if not 1 <= len(review.workflow) <= 64:
        raise RequestError("review.workflow", "is no workflow", "send the one that asked")
    known = (
        pb.REVIEW_FINDING_CONFIRMED,
        pb.REVIEW_FINDING_DISMISSED,
        pb.REVIEW_FINDING_OVERRIDDEN,
    )
    if review.finding not in known:
        raise RequestError("review.finding", "is no finding", "send one of ReviewFinding")
    if len(review.reason_code) > 64:
        raise RequestError("review.reason_code", "is too long", "send at most 64 characters")
    if holds_card_number(review.reason_code):
        review.reason_code = ""

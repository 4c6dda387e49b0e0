"""What becomes known after a decision: how a sale ended, what a person found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from posgate.v1 import outcome_pb2 as pb
from terminal_client.codec import (
    basket_to_pb,
    holds_card_number,
    instant_to_pb,
    redact_transaction,
)
from terminal_client.core.basket import Basket, TransactionRef


class SaleEnd(IntEnum):
    """How a sale ended. Numbers equal ``posgate.v1.SaleEnd``."""

    COMPLETED = 1
    ABANDONED = 2
    VOIDED = 3
    RETURNED = 4


class ReviewFinding(IntEnum):
    """What a person found. Numbers equal ``posgate.v1.ReviewFinding``."""

    CONFIRMED = 1
    DISMISSED = 2
    OVERRIDDEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOutcome:
    """A sale's end; ``redemption_keys`` are those of the final answer's offers."""

    end: SaleEnd
    final_basket_revision: int = 0
    redemption_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOutcome:
    """What a person found when ``workflow`` asked for review; line 0: the basket."""

    workflow: str
    finding: ReviewFinding
    line_number: int = 0
    reason_code: str = ""


def report_to_pb(
    request_id: str,
    decision_id: str,
    transaction: TransactionRef,
    event_time: datetime,
    outcome: SaleOutcome | ReviewOutcome,
) -> pb.OutcomeReport:
    """Return the message; blank in it is what may be a card number.

    Raises: TypeError, ValueError: a value does not fit its field.
    """
    report = pb.OutcomeReport(
        request_id=request_id,
        decision_id=decision_id,
        transaction=basket_to_pb(Basket(transaction=transaction)).transaction,
        event_time=instant_to_pb(event_time),
    )
    redact_transaction(report.transaction)
    if isinstance(outcome, SaleOutcome):
        report.sale.CopyFrom(
            pb.SaleOutcome(
                end=pb.SaleEnd.ValueType(outcome.end),
                final_basket_revision=outcome.final_basket_revision,
                redemption_keys=outcome.redemption_keys,
            )
        )
    else:
        reason = outcome.reason_code
        report.review.CopyFrom(
            pb.ReviewOutcome(
                workflow=outcome.workflow,
                line_number=outcome.line_number,
                finding=pb.ReviewFinding.ValueType(outcome.finding),
                reason_code="" if holds_card_number(reason) else reason,
            )
        )
    return report


def redemptions_of(report: pb.OutcomeReport) -> dict[str, bool]:
    """Return what the report uses up (True) and releases (False)."""
    if report.WhichOneof("outcome") != "sale":
        return {}
    end = report.sale.end
    if end == pb.SALE_END_COMPLETED:
        return dict.fromkeys(report.sale.redemption_keys, True)
    if end in (pb.SALE_END_VOIDED, pb.SALE_END_RETURNED):
        return dict.fromkeys(report.sale.redemption_keys, False)
    return {}

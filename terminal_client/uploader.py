"""From the spool to the gateway: in order, and dropped only when the gateway has it on disk.

A batch that is sent twice, because an answer was lost or a side was killed, is recognised by
(workstation, epoch, sequence) on the other side; here nothing is dropped before the answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import grpc

from posgate.v1 import outcome_pb2, outcome_pb2_grpc, terminal_pb2, terminal_pb2_grpc
from terminal_client.redemption_ledger import RedemptionLedger
from terminal_client.spool import Spool
from terminal_client.spool_store import MOST_RECORDS, Batch

logger = logging.getLogger(__name__)

_MOST_BATCHES = 64
_ON_DISK = (outcome_pb2.REPORT_STATUS_ACCEPTED, outcome_pb2.REPORT_STATUS_DUPLICATE)


@dataclass(slots=True, kw_only=True)
class UploadCounts:
    """Since the start: settled records, those the box had already, those it will never take."""

    settled: int = 0
    duplicates: int = 0
    rejected: int = 0


class Uploader:
    """Used by one thread. Methods raise ``grpc.RpcError`` and ``sqlite3.Error``."""

    def __init__(self, workstation_id: str, spool: Spool, ledger: RedemptionLedger | None) -> None:
        self.counts = UploadCounts()
        self._workstation_id = workstation_id
        self._spool = spool
        self._ledger = ledger
        self._most = MOST_RECORDS

    def upload(self, control: grpc.Channel, timeout_s: float) -> None:
        """Send everything that waits, at most 64 batches; ``timeout_s`` bounds each call."""
        for _ in range(_MOST_BATCHES):
            batch = self._spool.batch(self._most)
            if batch is None:
                break
            if not self._send(batch, control, timeout_s):
                return
        self._report(control, timeout_s)

    def _send(self, batch: Batch, control: grpc.Channel, timeout_s: float) -> bool:
        """Send one batch; tell whether the spool got shorter."""
        stub = terminal_pb2_grpc.TerminalServiceStub(control)
        try:
            answer = stub.UploadLocalDecisions(self._request(batch), timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return self._narrow(batch, error.details() or "")
        self._most = MOST_RECORDS
        self.counts.duplicates += max(answer.duplicate_count, 0)
        for rejected in answer.rejected:
            self.counts.rejected += 1
            logger.error(
                "decision %s-%d was rejected: %s",
                batch.epoch,
                rejected.local_sequence,
                rejected.reason,
            )
        return self._settle(batch, answer.accepted_through)

    def _settle(self, batch: Batch, accepted_through: int) -> bool:
        # Never believe in more than was sent.
        through = min(accepted_through, batch.through)
        for gap in batch.gaps:
            # A gap is settled by an answer that settled everything before it: a box that counts
            # records only would otherwise be told of it for ever.
            if gap.first - 1 <= through < gap.last:
                through = gap.last
        self._spool.settle(batch.epoch, through)
        first = batch.through - _length(batch) + 1
        self.counts.settled += max(through - first + 1, 0)
        return through >= first

    def _narrow(self, batch: Batch, details: str) -> bool:
        """Find the one record that spoils a batch, and give it up."""
        if not batch.decisions:
            logger.error(
                "the gaps of %s up to %d are refused: %s", batch.epoch, batch.through, details
            )
            self._spool.settle(batch.epoch, batch.through)
            return True
        if self._most > 1:
            self._most = max(self._most // 16, 1)
            return True
        logger.error("decision %s-%d is refused: %s", batch.epoch, batch.through, details)
        self.counts.rejected += 1
        decision = terminal_pb2.LocalDecision.FromString(batch.decisions[0])
        self._spool.give_up(batch.epoch, decision.local_sequence)
        self._most = MOST_RECORDS
        return True

    def _request(self, batch: Batch) -> terminal_pb2.UploadLocalDecisionsRequest:
        return terminal_pb2.UploadLocalDecisionsRequest(
            workstation_id=self._workstation_id,
            spool_epoch=batch.epoch,
            decisions=[terminal_pb2.LocalDecision.FromString(body) for body in batch.decisions],
            gaps=[
                terminal_pb2.SpoolGap(
                    first_local_sequence=gap.first,
                    last_local_sequence=gap.last,
                    reason=gap.reason,
                )
                for gap in batch.gaps
            ],
        )

    def _report(self, control: grpc.Channel, timeout_s: float) -> None:
        stub = outcome_pb2_grpc.OutcomeServiceStub(control)
        for _ in range(_MOST_BATCHES):
            waiting = {
                report.request_id: (outcome.number, report)
                for outcome in self._spool.outcomes(MOST_RECORDS)
                for report in (outcome_pb2.OutcomeReport.FromString(outcome.body),)
            }
            if not waiting:
                return
            reports = [report for _, report in waiting.values()]
            answer = stub.ReportOutcomes(
                outcome_pb2.ReportOutcomesRequest(reports=reports), timeout=timeout_s
            )
            settled = self._settle_reports(answer) & waiting.keys()
            self._spool.drop_outcomes([waiting[name][0] for name in settled])
            if not settled:
                return

    def _settle_reports(self, answer: outcome_pb2.ReportOutcomesResponse) -> set[str]:
        """Return the reports that need not be sent again."""
        taken = {result.request_id for result in answer.results if result.status in _ON_DISK}
        refused = [
            result
            for result in answer.results
            if result.status == outcome_pb2.REPORT_STATUS_REJECTED
        ]
        for result in refused:
            logger.error("outcome %s was rejected: %s", result.request_id, result.reason)
        self.counts.rejected += len(refused)
        names = {result.request_id for result in refused}
        if self._ledger is not None:
            self._ledger.settle_own(taken, taken=True)
            self._ledger.settle_own(names, taken=False)
        return taken | names


def _length(batch: Batch) -> int:
    return len(batch.decisions) + sum(gap.last - gap.first + 1 for gap in batch.gaps)

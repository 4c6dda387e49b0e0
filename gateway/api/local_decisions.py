"""Reading an upload of decisions that a register made itself.

A record that can never be read becomes poison and blocks nothing; what is wrong with the
batch as a whole is the caller's error. Card numbers are blanked before anything is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from itertools import pairwise

from cloud_sync.records import Batch, DecisionRecord, Gap, Origin, PoisonRecord, Source
from gateway.sale_facts import sale_facts
from posgate.v1 import terminal_pb2 as pb
from terminal_client.codec import RequestError, decode_request
from terminal_client.codec.basket_reader import instant_from_pb, redact

MAX_DECISIONS = 256
MAX_GAPS = 256
MAX_UPLOAD_BYTES = 1024 * 1024
_IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def read_upload(request: pb.UploadLocalDecisionsRequest) -> Batch:
    """Return the batch; a record that cannot be read becomes poison.

    Raises: RequestError: the batch itself is malformed or out of order.
    """
    if not _IDENTIFIER.match(request.spool_epoch):
        raise RequestError("spool_epoch", "is malformed", "send 1 to 64 of [A-Za-z0-9._-]")
    if len(request.decisions) > MAX_DECISIONS or request.ByteSize() > MAX_UPLOAD_BYTES:
        raise RequestError("decisions", "are too many", "send at most 256 and at most 1 MiB")
    if len(request.gaps) > MAX_GAPS:
        raise RequestError("gaps", "are too many", "join neighbours, send at most 256")
    gaps = tuple(_gap(gap, f"gaps[{i}]") for i, gap in enumerate(request.gaps))
    decisions: list[DecisionRecord] = []
    poison: list[PoisonRecord] = []
    last = 0
    for i, local in enumerate(request.decisions):
        if local.local_sequence <= last:
            raise RequestError(
                f"decisions[{i}].local_sequence", "is out of order", "send rising numbers from 1"
            )
        last = local.local_sequence
        try:
            decisions.append(_decision(local))
        except RequestError as error:
            redact(local.request.basket)
            body = local.SerializeToString(deterministic=True)
            poison.append(PoisonRecord(sequence=last, reason=str(error), body=body))
    return Batch(
        origin=Origin(
            source=Source.TERMINAL,
            workstation_id=request.workstation_id,
            epoch=request.spool_epoch,
        ),
        decisions=tuple(decisions),
        poison=tuple(poison),
        gaps=gaps + _undeclared(request),
    )


def _decision(local: pb.LocalDecision) -> DecisionRecord:
    sha256 = hashlib.sha256(local.request.SerializeToString(deterministic=True)).digest()
    try:
        request = decode_request(local.request)
    except RequestError as error:
        raise RequestError(f"request.{error.field}", error.problem, error.remedy) from error
    if local.response.request_id != request.request_id:
        raise RequestError("response.request_id", "is another request's", "send the answer to it")
    if not 1 <= len(local.response.decision_id) <= 128:
        raise RequestError("response.decision_id", "is no id", "send 1 to 128 characters")
    if not local.HasField("decided_time"):
        raise RequestError("decided_time", "is missing", "send when it was decided")
    return DecisionRecord(
        sequence=local.local_sequence,
        decision_id=local.response.decision_id,
        request_id=request.request_id,
        decided=instant_from_pb(local.decided_time, "decided_time"),
        request=request.message.SerializeToString(deterministic=True),
        response=local.response.SerializeToString(deterministic=True),
        request_sha256=sha256,
        facts=sale_facts(request.basket),
        fallback_reason=_reason(local.fallback_reason),
    )


def _reason(number: int) -> str:
    """Return the reason's name in lower case; one from a newer register is ``other``."""
    try:
        name = pb.FallbackReason.Name(pb.FallbackReason.ValueType(number))
    except ValueError:
        return "other"
    return name.removeprefix("FALLBACK_REASON_").lower()


def _gap(gap: pb.SpoolGap, path: str) -> Gap:
    if not 1 <= gap.first_local_sequence <= gap.last_local_sequence:
        raise RequestError(path, "is no range", "send first and last, from 1")
    return Gap(
        first_sequence=gap.first_local_sequence,
        last_sequence=gap.last_local_sequence,
        lost_count=gap.last_local_sequence - gap.first_local_sequence + 1,
        reason=gap.reason[:64] or "UNSPECIFIED",
    )


def _undeclared(request: pb.UploadLocalDecisionsRequest) -> tuple[Gap, ...]:
    """Return the holes between the batch's records that no gap of it declares.

    The answer settles them too, so the loss must be on record. One pass over both, in order.
    """
    declared = deque(
        sorted((gap.first_local_sequence, gap.last_local_sequence) for gap in request.gaps)
    )
    holes: list[Gap] = []
    numbers = [decision.local_sequence for decision in request.decisions]
    for before, after in pairwise(numbers):
        first = before + 1
        while declared and declared[0][0] < after:
            low, high = declared[0]
            if first < low:
                holes.append(_hole(first, low - 1))
            first = max(first, high + 1)
            if high >= after:
                # It reaches beyond this hole: the next one may need it too.
                break
            declared.popleft()
        if first < after:
            holes.append(_hole(first, after - 1))
    return tuple(holes)


def _hole(first: int, last: int) -> Gap:
    return Gap(
        first_sequence=first,
        last_sequence=last,
        lost_count=last - first + 1,
        reason="UNDECLARED",
    )

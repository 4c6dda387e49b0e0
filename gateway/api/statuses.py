"""The only place where a refusal becomes a gRPC status.

Every refusal carries ``google.rpc.ErrorInfo`` with the domain ``posgate.dev``; one about a
field names ``field`` and ``remedy`` in its metadata. A message never holds a file's path, a
stack or a basket's contents.
"""

from __future__ import annotations

from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "posgate.dev"


class RefusalError(Exception):
    """A call that cannot be answered; ``code`` is a ``google.rpc.Code`` number."""

    def __init__(
        self, code: int, reason: str, message: str, *, field: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.remedy = remedy


def bad_field(field: str, problem: str, remedy: str) -> RefusalError:
    """The request is malformed at ``field``: INVALID_ARGUMENT."""
    return RefusalError(
        code_pb2.INVALID_ARGUMENT,
        "FIELD_INVALID",
        f"{field}: {problem}; {remedy}",
        field=field,
        remedy=remedy,
    )


def disk_refuses() -> RefusalError:
    """Nothing was stored: UNAVAILABLE, so that the caller keeps its records."""
    return RefusalError(
        code_pb2.UNAVAILABLE,
        "STORE_UNAVAILABLE",
        "the gateway's disk takes no records now; keep them and come again",
        remedy="keep the records and come again",
    )


def no_bundle_yet() -> RefusalError:
    """The box has mirrored no signed bundle: UNAVAILABLE."""
    return RefusalError(
        code_pb2.UNAVAILABLE,
        "NO_BUNDLE",
        "the gateway has no signed bundle yet; come again",
        remedy="come again when the gateway has reached its cloud once",
    )


def unknown_bundle() -> RefusalError:
    """No bundle of that digest lies here: NOT_FOUND."""
    return RefusalError(
        code_pb2.NOT_FOUND,
        "BUNDLE_UNKNOWN",
        "digest: no such bundle here; ask GetTrust which one to fetch",
        field="digest",
        remedy="ask GetTrust which one to fetch",
    )


def past_the_end(total_bytes: int) -> RefusalError:
    """The offset is past the bundle's end: OUT_OF_RANGE."""
    remedy = f"write an offset in [0, {total_bytes}]"
    return RefusalError(
        code_pb2.OUT_OF_RANGE,
        "OFFSET_PAST_END",
        f"offset: is past the end; {remedy}",
        field="offset",
        remedy=remedy,
    )


def failed() -> RefusalError:
    """A defect of ours: INTERNAL, and nothing of what it was."""
    return RefusalError(
        code_pb2.INTERNAL, "INTERNAL", "the gateway failed; try again", remedy="try again"
    )


def to_status(refusal: RefusalError) -> grpc.Status:
    """Return ``refusal`` as code, message and ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN)
    if refusal.field:
        info.metadata["field"] = refusal.field
    if refusal.remedy:
        info.metadata["remedy"] = refusal.remedy
    detail = any_pb2.Any()
    detail.Pack(info)
    return rpc_status.to_status(
        status_pb2.Status(code=refusal.code, message=refusal.message, details=[detail])
    )


async def abort(
    context: grpc.aio.ServicerContext[object, object], refusal: RefusalError
) -> NoReturn:
    """End the call with ``refusal``."""
    status = to_status(refusal)
    # grpc.aio has no abort_with_status: code, message and the packed details go one by one.
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort always raises")

"""A gateway that is none: ``python -m tests.e2e.hostile_gateway KIND --ca .. --cert .. --key ..``.

Prints its port, then misbehaves until its standard input ends. KIND: ``noise`` (random bytes
instead of TLS), ``tls-noise`` (TLS, then random bytes), ``silence`` (takes connections and says
nothing), ``protobuf`` (gRPC that answers every call with nonsense), ``stranger`` (an honest
handshake with whatever certificate it was given).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import ssl
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import grpc

from posgate.v1 import decision_pb2 as pb
from tests.e2e.fuzzing import fuzz, mutate

KINDS = ("noise", "tls-noise", "silence", "protobuf", "stranger")
_SEED = 20170101
_CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


class Liar:
    """Answers every method with something that is no answer to what was asked."""

    def __init__(self) -> None:
        self._random = Random(_SEED)
        self._turn = count()

    async def answer(self, raw: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        lies: tuple[Callable[[bytes], Awaitable[bytes]], ...] = (
            self._noise,
            self._fuzz,
            self._half_understood,
            self._cut_off,
            self._too_much,
            self._another_question,
            self._nothing,
        )
        turn = next(self._turn) % (len(lies) + 2)
        if turn == len(lies):
            await context.abort(self._random.choice(_CODES), "\u0000é{}%s" + "x" * 2000)
        if turn == len(lies) + 1:
            await asyncio.sleep(60)
        return await lies[turn](raw)

    async def _noise(self, raw: bytes) -> bytes:
        return self._random.randbytes(self._random.randint(1, 4000))

    async def _fuzz(self, raw: bytes) -> bytes:
        return fuzz(pb.EvaluateResponse(), self._random).SerializeToString()

    async def _half_understood(self, raw: bytes) -> bytes:
        """The right ids and workflows, with enum numbers and scores nobody knows."""
        answer = self._shaped(raw)
        for result in answer.results:
            result.verdict = 77  # type: ignore[assignment]
            result.score = math.nan
        return answer.SerializeToString()

    async def _cut_off(self, raw: bytes) -> bytes:
        whole = self._shaped(raw).SerializeToString()
        return whole[: len(whole) // 2]

    async def _too_much(self, raw: bytes) -> bytes:
        return bytes(5 * 1024 * 1024)

    async def _another_question(self, raw: bytes) -> bytes:
        answer = self._shaped(raw)
        answer.request_id = "00000000-0000-7000-8000-000000000000"
        return mutate(answer.SerializeToString(), Random(1))

    async def _nothing(self, raw: bytes) -> bytes:
        return b""

    def _shaped(self, raw: bytes) -> pb.EvaluateResponse:
        try:
            request = pb.EvaluateRequest.FromString(raw)
        # Every other method of the contract is answered as if it were this one.
        except Exception:  # noqa: BLE001
            request = pb.EvaluateRequest()
        return pb.EvaluateResponse(
            request_id=request.request_id,
            decision_id="liar-1",
            verdict=pb.VERDICT_REVIEW,
            mode=pb.MODE_FULL,
            basket_revision=request.basket.basket_revision,
            results=[
                pb.WorkflowResult(workflow=name, verdict=pb.VERDICT_REVIEW, tier=pb.TIER_EDGE_MODEL)
                for name in request.workflows
            ],
        )


class _EveryMethod(grpc.GenericRpcHandler):
    def __init__(self, behaviour: Any) -> None:
        self._handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler


async def _serve_grpc(arguments: argparse.Namespace) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_EveryMethod(Liar().answer),))
    credentials = grpc.ssl_server_credentials(
        [(arguments.key.read_bytes(), arguments.cert.read_bytes())],
        root_certificates=arguments.ca.read_bytes(),
        require_client_auth=False,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace=0)


async def _serve_bytes(arguments: argparse.Namespace) -> None:
    random = Random(_SEED)
    quiet = arguments.kind == "silence"

    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not quiet:
                writer.write(random.randbytes(random.randint(1, 2000)))
                await writer.drain()
                if not await reader.read(1000) or random.random() < 0.5:
                    break
            if quiet:
                await asyncio.sleep(3600)
        except OSError:
            pass
        finally:
            writer.close()

    context: ssl.SSLContext | None = None
    if arguments.kind == "tls-noise":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.cert, arguments.key)
        context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(misbehave, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    for name in ("ca", "cert", "key"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    grpc_kind = arguments.kind in ("protobuf", "stranger")
    asyncio.run(_serve_grpc(arguments) if grpc_kind else _serve_bytes(arguments))


if __name__ == "__main__":
    main()

"""The demo's cloud, a process of its own: a folder over HTTP, and the deep tier.

Run as ``python -m examples.complete_journey.demo.cloud --tree FOLDER --ca ... --cert ...
--key ...``. Prints ``ready HTTP_PORT DEEP_PORT`` once both doors are open. When its standard
input ends, it prints ``answered N`` (questions that reached the deep tier) and ends too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2_grpc

from examples.complete_journey.artifacts import STORE
from examples.complete_journey.demo.deep import DeepModel, DeepService


class _QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the demo's screen belongs to the report."""


def edge_columns() -> list[str]:
    """Return the names of the edge model's columns, in order."""
    contract = json.loads((STORE / "promo_price_edge.features.json").read_text())
    return [column["name"] for column in contract["columns"]]


async def serve(arguments: argparse.Namespace) -> None:
    """Serve both doors until standard input ends."""
    http = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_QuietHandler, directory=str(arguments.tree))
    )
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.aio.server()
    deep = DeepService(DeepModel(edge_columns()))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(deep, server)
    credentials = grpc.ssl_server_credentials(
        [(arguments.key.read_bytes(), arguments.cert.read_bytes())],
        root_certificates=arguments.ca.read_bytes(),
        require_client_auth=True,
    )
    deep_port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(f"ready {http.server_port} {deep_port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(f"answered {deep.call_count}", flush=True)
    await server.stop(grace=0.2)
    http.shutdown()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tree", "ca", "cert", "key"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

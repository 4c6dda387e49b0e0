"""The generated code, Triton's client and gRPC's own services share one protobuf runtime."""

import subprocess
import sys


def test_our_stubs_and_tritonclient_load_in_one_process() -> None:
    # A stub from a newer protobuf raises on import and one from an older major version warns.
    program = """
import importlib, pkgutil
import posgate
names = [m.name for m in pkgutil.walk_packages(posgate.__path__, "posgate.") if "_pb2" in m.name]
for name in names:
    importlib.import_module(name)
import tritonclient.grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from google.rpc import error_details_pb2
from grpc_status import rpc_status
assert "posgate.v1.decision_pb2_grpc" in names, names
print(len(names))
"""
    command = [sys.executable, "-W", "error::UserWarning:google.protobuf", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0

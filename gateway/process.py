"""Starting one of the two processes: folders in memory, logs, metrics, then its own root.

prometheus_client decides at its first import whether its values live in shared files, so
everything that uses it is imported after the folder is named.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import logs
from gateway.config import GatewayConfig
from gateway.config_file import ConfigError, load_config
from gateway.exits import Exit

logger = logging.getLogger(__name__)

ROLES = ("serving", "control")
STATE_MODE = 0o700
RUN_MODE = 0o750
"""Operators' group may come to the admin socket; what lies beside it is ours alone."""
_PR_SET_PDEATHSIG = 1


def run_serving(path: Path) -> int:
    """Run the serving process until it is told to stop; returns its exit status."""
    _prepare(path, "serving")
    from gateway import serving

    return _guarded(lambda: serving.main(["--config", str(path)]))


def run_control(path: Path) -> int:
    """Run the control process until it is told to stop; returns its exit status."""
    config = _prepare(path, "control")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(config.paths.metrics_dir)
    from gateway import control

    def run() -> int:
        asyncio.run(control.serve(config))
        return Exit.OK

    return _guarded(run)


def die_with_parent() -> None:
    """Ask Linux to end this process when its supervisor dies, however it dies.

    Elsewhere nothing happens: there the service manager must do it.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # It may have died before the order was in force.
        if os.getppid() != parent:
            sys.exit(Exit.TRY_LATER)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as ``python -m gateway.process ROLE --config FILE``: what the supervisor starts."""
    parser = argparse.ArgumentParser(prog="python -m gateway.process", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--config", type=Path, required=True, help="the gateway's TOML file")
    parser.add_argument("--supervised", action="store_true", help="end with the parent process")
    asked = parser.parse_args(arguments)
    if asked.supervised:
        die_with_parent()
    try:
        return run_serving(asked.config) if asked.role == "serving" else run_control(asked.config)
    except ConfigError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - there is no log before the configuration
        return Exit.USAGE


def _prepare(path: Path, process: str) -> GatewayConfig:
    """Read the configuration and make the folders. Raises: ConfigError."""
    config = load_config(path)
    logs.configure(config.log, process)
    # Baskets, answers and keys: nothing this process writes is for other users of the machine.
    os.umask(0o077)
    paths = config.paths
    folders = {paths.run_dir: RUN_MODE, paths.metrics_dir: STATE_MODE, paths.state_dir: STATE_MODE}
    for folder, mode in folders.items():
        try:
            if not folder.is_dir():
                # One that is there is as the administrator or the service manager wants it.
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(mode)
        except OSError as exc:
            raise ConfigError(
                path, "paths", f"{folder} cannot be made ({exc.strerror})", "name another folder"
            ) from exc
    return config


def _guarded(run: Callable[[], int]) -> int:
    """Run, and turn what a person must act on into one log line and an exit status."""
    # Imported late: both pull in what must see the metrics' folder first.
    from cloud_sync.errors import StoreMismatchError, StoreUnavailableError
    from gateway.journal import JournalError
    from gateway.tls import TlsFilesError
    from terminal_client.core.trust_errors import TrustError

    try:
        return run()
    except (TlsFilesError, TrustError, StoreMismatchError) as exc:
        logger.error("%s", exc)
        return Exit.VERIFICATION_FAILED
    except (StoreUnavailableError, JournalError, OSError) as exc:
        logger.error("cannot start now: %s", exc)
        return Exit.TRY_LATER
    except RuntimeError as exc:
        # grpc says "failed to bind" this way and no other.
        logger.error("cannot start now: %s", exc, exc_info=logger.isEnabledFor(logging.DEBUG))
        return Exit.TRY_LATER


if __name__ == "__main__":
    sys.exit(main())

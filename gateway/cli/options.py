"""Options that several commands share, and reading what they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import fail
from gateway.config import GatewayConfig
from gateway.config_file import ConfigError, load_config
from gateway.exits import Exit

DEFAULT_CONFIG = Path("/etc/posgate/posgate.toml")

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The gateway's TOML file.", show_default=True)
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def read_config(path: Path) -> GatewayConfig:
    """Return the configuration, or end with what is wrong in it."""
    try:
        return load_config(path)
    except ConfigError as exc:
        fail(Exit.USAGE, str(exc), f"correct it, then 'posgate config check --config {path}'")

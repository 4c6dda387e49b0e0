"""``posgate gateway run | serving | control``: the processes of a box."""

from __future__ import annotations

import asyncio

import typer

from gateway import logs
from gateway.cli.config_commands import check_what_it_names
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, read_config
from gateway.cli.output import fail
from gateway.config_file import ConfigError
from gateway.exits import Exit
from gateway.process import run_control, run_serving
from gateway.supervisor import Supervisor, gateway_children
from gateway.tls import TlsFilesError
from terminal_client.core.trust_errors import TrustError

app = typer.Typer(no_args_is_help=True, help="Run the gateway.")


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run serving and control, and start each again when it ends. Stop with SIGTERM."""
    read = read_config(config)
    try:
        check_what_it_names(read)
    except (TlsFilesError, TrustError, OSError) as exc:
        fail(Exit.VERIFICATION_FAILED, str(exc), f"posgate config check --config {config}")
    logs.configure(read.log, "supervisor")
    asyncio.run(Supervisor(gateway_children(config)).run())


@app.command()
def serving(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the serving process alone, for a service manager."""
    try:
        status = run_serving(config)
    except ConfigError as exc:
        fail(Exit.USAGE, str(exc), f"posgate config check --config {config}")
    raise typer.Exit(status)


@app.command()
def control(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the control process alone, for a service manager."""
    try:
        status = run_control(config)
    except ConfigError as exc:
        fail(Exit.USAGE, str(exc), f"posgate config check --config {config}")
    raise typer.Exit(status)

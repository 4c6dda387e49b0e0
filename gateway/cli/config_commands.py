"""``posgate config check`` and ``posgate config show``."""

from __future__ import annotations

from pathlib import Path

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.cli.output import Output, OutputOption, fail, say, show_json, show_table
from gateway.config import GatewayConfig
from gateway.config_file import ConfigError, effective_settings, load_config
from gateway.exits import Exit
from gateway.tls import TlsFilesError, check_files
from terminal_client.core.trust import trusted_root
from terminal_client.core.trust_errors import TrustError
from terminal_client.signatures import verify_signature

app = typer.Typer(no_args_is_help=True, help="Check and show the configuration.")


def check_what_it_names(config: GatewayConfig) -> None:
    """Prove that certificate, key, CA and pinned root can be used.

    Raises: TlsFilesError, TrustError, OSError: they cannot.
    """
    check_files(config.tls)
    trusted_root(config.trust.root.read_bytes(), (), verify_signature)


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, output: OutputOption = Output.TEXT) -> None:
    """Check the file, and the certificate, key and root it names.

    Ends with 0 valid, 2 the file is wrong (file, key and range are named), 6 what it names
    cannot be used.
    """
    status, found = _checked(config)
    if output is Output.JSON:
        show_json(found)
    elif status is Exit.OK:
        say(f"{config}: valid")
    else:
        where = f"{found['file']}: {found['key']}" if found["key"] else found["file"]
        say(f"error: {where}: {found['problem']}")
        say(f"  next: {found['remedy']}")
    if status is not Exit.OK:
        raise typer.Exit(status)


@app.command()
def show(config: ConfigOption = DEFAULT_CONFIG, output: OutputOption = Output.TEXT) -> None:
    """Print every value in force and whether the file or a default says so."""
    try:
        settings = effective_settings(config)
    except ConfigError as exc:
        fail(Exit.USAGE, str(exc), f"correct it, then 'posgate config check --config {config}'")
    if output is Output.JSON:
        show_json(
            [
                {"key": setting.key, "value": setting.value, "origin": setting.origin}
                for setting in settings
            ]
        )
    else:
        show_table([(setting.key, setting.value, setting.origin) for setting in settings])


def _checked(path: Path) -> tuple[Exit, dict[str, object]]:
    try:
        check_what_it_names(load_config(path))
    except ConfigError as exc:
        return Exit.USAGE, _finding(path, exc.key, exc.problem, exc.remedy)
    except TlsFilesError as exc:
        remedy = "put a certificate, its key and its CA there"
        return Exit.VERIFICATION_FAILED, _finding(path, "tls", str(exc), remedy)
    except (TrustError, OSError) as exc:
        remedy = "put the root there that the publisher gave out"
        return Exit.VERIFICATION_FAILED, _finding(path, "trust.root", str(exc), remedy)
    return Exit.OK, {"valid": True} | _finding(path, "", "", "") | {"valid": True}


def _finding(path: Path, key: str, problem: str, remedy: str) -> dict[str, object]:
    return {"valid": False, "file": str(path), "key": key, "problem": problem, "remedy": remedy}
